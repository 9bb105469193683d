"""Which running tries leave their places by themselves: those at places that are drained or in quarantine."""

from __future__ import annotations

from parsl_diaspora.events import (
    CheckpointRestored,
    CheckpointSaved,
    Event,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
)
from parsl_diaspora.executors.supervision.board import LEAVE, SAVE
from parsl_diaspora.monitoring.checkpointing.asking import Asking
from parsl_diaspora.monitoring.checkpointing.running import RunningTries, RunningTry
from parsl_diaspora.scaling.sites import OWNER


class Leaving:
    """Asks tries that can save themselves to leave, or at least to save.

    A try that has saved nothing yet is asked when it has. The pool controller knows for itself which of the
    blocks that it drains must be left.

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
        self._when_saved: dict[tuple[int, int], str] = {}

    def hear(self, event: Event) -> None:
        """Take note of an event of the run."""
        if isinstance(event, PlaceHeld) and event.drain and event.owner != OWNER:
            self._ask(event, LEAVE, f"its place is drained: {event.reason or 'somebody asked for it'}")
        elif isinstance(event, PlaceQuarantined):
            self._ask(event, LEAVE, f"its place is in quarantine: {event.reason}")
        elif isinstance(event, NodeSuspected):
            self._ask(event, SAVE, "")
        elif isinstance(event, PlaceReleased):
            for each in self._running:
                if _is_at(each, event):
                    self._when_saved.pop(each.key, None)
        elif self._when_saved and isinstance(event, CheckpointSaved | CheckpointRestored):
            self._ask_now(event)

    def leave(self, executor: str, block: str, reason: str) -> None:
        """Ask the tries on a block to leave."""
        self._ask(PlaceHeld(executor=executor, block=block), LEAVE, reason)

    def _ask(self, event: Event, what: int, reason: str) -> None:
        for each in self._running:
            if not _is_at(each, event):
                continue
            if each.can_be_interrupted:
                self._ask_one(each, what, reason)
            elif reason:
                self._when_saved[each.key] = reason

    def _ask_now(self, event: Event) -> None:
        running = self._running.of(event.task if event.task is not None else -1, event.try_id or 0)
        if running is not None and (reason := self._when_saved.pop(running.key, "")):
            self._ask_one(running, LEAVE, reason)

    def _ask_one(self, running: RunningTry, what: int, reason: str) -> None:
        if self._asking.ask(running, what) and reason:
            self.asked[running.key] = reason

    def forget(self, task: int, try_id: int) -> str:
        """Why a try that has ended was asked to leave; empty if it was not."""
        self._when_saved.pop((task, try_id), None)
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
