"""What a pool asks of the run that it is part of; and what it tells itself where it is not part of one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.events import Event, Lesson
from parsl_diaspora.executors.pool.member import Member
from parsl_diaspora.executors.pool.work import Attempt, Work
from parsl_diaspora.recovery.options import original
from parsl_diaspora.recovery.placement import Candidate, weight_of
from parsl_diaspora.state.places import EXECUTOR, Places

logger = logging.getLogger(__name__)

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ModuleNotFoundError, "missing_module"),
    (MemoryError, "memory"),
    (WorkerLost, "crash"),
    (ManagerLost, "crash"),
)


class Advice(Protocol):
    """What a pool asks of its surroundings. Nothing here waits."""

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def has_retries(self) -> bool:
        """Whether somebody else decides what becomes of a try that is lost with its member."""
        ...

    def key(self, func: Any) -> str:
        """What tells a function from others."""
        ...

    def candidates(self, work: Work, labels: Sequence[str]) -> list[Candidate]:
        """What is believed of members as places for a piece of work, but for their load."""
        ...

    def workers(self, label: str) -> int | None:
        """Workers that are connected at a member; None where nobody has told."""
        ...

    def launch_for(self, work: Work, label: str) -> Any:
        """What the workers of a member are told of the try; None for nothing."""
        ...

    def seconds(self, work: Work, attempt: Attempt) -> float | None:
        """How long a copy took that has just ended; None where nobody has told."""
        ...

    def settled(self, work: Work, attempt: Attempt, failure: BaseException | None) -> None:
        """A copy's end is the work's; called before anybody hears of it."""
        ...

    def stop(self, work: Work, attempt: Attempt, reason: str) -> None:
        """Stop a copy that nobody waits for, where it runs or as soon as it would."""
        ...

    def stopped(self, work: Work, attempt: Attempt) -> None:
        """A copy that nobody waited for has ended."""
        ...

    def emptied(self, label: str) -> None:
        """All managers of a member have gone, as it is replaced."""
        ...

    def say(self, event: Event) -> None:
        """Say an event."""
        ...

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own."""
        ...


class Alone:
    """The advice that a pool of a stock program gives itself: it remembers how functions fare at members.

    Args:
        members: by label; they may be filled in later.
        clock: time.
    """

    has_retries = False

    def __init__(self, members: dict[str, Member], clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._members = members
        self._places = Places()

    def key(self, func: Any) -> str:
        """Module and name: the code is not looked at."""
        inner = original(func)
        name = getattr(inner, "__qualname__", None) or type(inner).__qualname__
        return f"{getattr(inner, '__module__', '')}.{name}"

    def candidates(self, work: Work, labels: Sequence[str]) -> list[Candidate]:
        """What was remembered, and what the members say of themselves."""
        now = self.clock.time()
        return [self._candidate(work, label, now) for label in labels]

    def _candidate(self, work: Work, label: str, now: float) -> Candidate:
        belief = self._places.of(work.key, f"{EXECUTOR}{label}", "")
        return Candidate(
            label=label,
            usable=self._members[label].is_usable,
            lack=belief.lack or work.wants.lacking(self._members[label].offer),
            chance=belief.chance(now),
        )

    def workers(self, label: str) -> int | None:
        """Nobody tells."""
        return None

    def launch_for(self, work: Work, label: str) -> Any:
        """Nothing: a stock program's workers know nothing of us."""
        return None

    def seconds(self, work: Work, attempt: Attempt) -> float | None:
        """Nobody tells."""
        return None

    def settled(self, work: Work, attempt: Attempt, failure: BaseException | None) -> None:
        """Remember how the function has fared there."""
        place = f"{EXECUTOR}{attempt.label}"
        if failure is None:
            lesson = Lesson(func=work.key, place=place, good=1.0, tries=1)
        else:
            kind = next((name for cls, name in _KINDS if isinstance(failure, cls)), "")
            lack = {"missing_module": f"module {getattr(failure, 'name', '')!r}", "memory": "memory"}
            bad = weight_of(kind, infrastructure=False)
            lesson = Lesson(func=work.key, place=place, bad=bad, tries=1, lack=lack.get(kind, ""))
        self._places.learn(lesson, self.clock.time())

    def stop(self, work: Work, attempt: Attempt, reason: str) -> None:
        """Nothing stops a task of stock Parsl; what comes of it is dropped."""

    def stopped(self, work: Work, attempt: Attempt) -> None:
        """Nobody asks."""

    def emptied(self, label: str) -> None:
        """Nobody asks."""

    def say(self, event: Event) -> None:
        """There is no run to say it in."""
        logger.info("%s", event)

    def absorb(self, part: str, error: BaseException) -> None:
        """Into the log."""
        logger.warning("parsl_diaspora: %s met a fault: %s", part, error, exc_info=error)
