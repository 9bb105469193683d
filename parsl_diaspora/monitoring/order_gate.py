"""The program's side of orders from outside: only those that are signed with the run's key pass, once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import (
    DecisionMade,
    DiagnosisRevised,
    Event,
    OrderAnswered,
    PlaceQuarantined,
    TaskHeld,
    TaskReleased,
)
from parsl_diaspora.monitoring.run_key import LIFETIME, ORDERS, RunKey

logger = logging.getLogger(__name__)

MOST_ANSWERS = 20  # refusals that are answered; more are only counted

#: What only the program itself says of its run.
OWN_WORDS = (TaskHeld, TaskReleased, PlaceQuarantined, DecisionMade, DiagnosisRevised)


class OrderGate:
    """Lets events of others pass, without orders that must not be obeyed.

    Args:
        run: Parsl's run id.
        key: of the run; None if it has none, and then no order passes.
        say: says an event.
        clock: time.

    Attributes:
        refused: orders that were not obeyed.
    """

    def __init__(self, run: str, key: RunKey | None, say: Callable[[Event], Any], clock: Clock) -> None:
        self._run = run
        self._key = key
        self._say = say
        self._clock = clock
        self._seen: set[str] = set()
        self._order: deque[tuple[float, str]] = deque()
        self.refused = 0

    def passes(self, event: Event) -> bool:
        """Whether an event that somebody else has said is to be heard."""
        if event.run != self._run:
            return True
        if isinstance(event, OWN_WORDS):
            return self._refuse(event, "only the program itself says that")
        if not isinstance(event, ORDERS):
            return True
        why = self._problem(event)
        return not why or self._refuse(event, why)

    def _problem(self, event: Any) -> str:
        if self._key is None:
            return "this run has no key"
        now = self._clock.time()
        if why := self._key.problem(event, now):
            return why
        while self._order and self._order[0][0] < now - 2 * LIFETIME:
            self._seen.discard(self._order.popleft()[1])
        if event.order in self._seen:
            return "it has been used before"
        self._seen.add(event.order)
        self._order.append((now, event.order))
        return ""

    def _refuse(self, event: Any, why: str) -> bool:
        self.refused += 1
        if self.refused == 1:
            logger.warning(
                "parsl_diaspora: an order (%s from %s) was refused, as %s; further ones are only counted.",
                event.kind,
                event.source,
                why,
            )
        if self.refused <= MOST_ANSWERS:
            order = getattr(event, "order", "")
            self._say(OrderAnswered(order=order, accepted=False, why=why, cause=(event.id,)))
        return False
