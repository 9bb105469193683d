"""Which running tries leave their places by themselves: those at places that are drained or in quarantine."""

from __future__ import annotations

from parsl_diaspora.events import Event, NodeSuspected, PlaceHeld, PlaceQuarantined
from parsl_diaspora.executors.supervision.board import LEAVE, SAVE
from parsl_diaspora.monitoring.checkpointing.asking import Asking
from parsl_diaspora.monitoring.checkpointing.running import RunningTries, RunningTry
from parsl_diaspora.scaling.sites import OWNER


class Leaving:
    """Asks tries that can save themselves to leave, or at least to save.

    The pool controller knows for itself which of the blocks that it drains must be left.

    Args:
        running: tries.
        asking: asks them.

    Attributes:
        asked: why each try was asked to leave, by task and number of the try.
    """

    def __init__(self, running: RunningTries, asking: Asking) -> None:
        self._running = running
        self._asking = asking
        self.asked: dict[tuple[int, int], str] = {}

    def hear(self, event: Event) -> None:
        """Take note of an event of the run."""
        if isinstance(event, PlaceHeld) and event.drain and event.owner != OWNER:
            self._ask(event, LEAVE, f"its place is drained: {event.reason or 'somebody asked for it'}")
        elif isinstance(event, PlaceQuarantined):
            self._ask(event, LEAVE, f"its place is in quarantine: {event.reason}")
        elif isinstance(event, NodeSuspected):
            self._ask(event, SAVE, "")

    def leave(self, executor: str, block: str, reason: str) -> None:
        """Ask the tries on a block to leave."""
        self._ask(PlaceHeld(executor=executor, block=block), LEAVE, reason)

    def _ask(self, event: Event, what: int, reason: str) -> None:
        for each in self._running:
            if each.can_be_interrupted and _is_at(each, event) and self._asking.ask(each, what) and reason:
                self.asked[each.key] = reason

    def forget(self, task: int, try_id: int) -> str:
        """Why a try that has ended was asked to leave; empty if it was not."""
        return self.asked.pop((task, try_id), "")


def _is_at(running: RunningTry, event: Event) -> bool:
    """Whether a try runs at the place that an event is about."""
    named = [
        (event.executor, running.executor),
        (event.block, running.block),
        (event.manager, running.manager),
        (event.node, running.node),
    ]
    told = [(place, where) for place, where in named[1:] if place]
    return bool(told) and all(place == where for place, where in named if place)
