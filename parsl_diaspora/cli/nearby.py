"""What else happened where a try failed, at about that time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.cli.story import Nearby, TryStory
from parsl_diaspora.cli.words import clip, duration, joined
from parsl_diaspora.events import (
    BlockLost,
    Event,
    FaultInjected,
    ManagerEnded,
    ManagerLost,
    NodeLost,
    NodeSuspected,
    PlaceQuarantined,
)

#: Seconds around a try: managers are looked at once a second, batch systems much more rarely, but the end of
#: a block explains only the loss of all that it held.
BEFORE, AFTER = 2.0, 10.0
AFTER_FOR_BLOCKS = 90.0
_LOST_WITH_BLOCK = ("manager_lost", "executor_lost")
_CLIP = 160


class NearbyEvents:
    """Keeps what befell places, and knows what of it belongs to a try."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def listen(self, event: Event) -> None:
        """Take note of an event that is about no task."""
        if type(event) in _WORDS and not (isinstance(event, BlockLost) and event.expected):
            self._events.append(event)

    def of(self, each: TryStory, submitted: float) -> list[Nearby]:
        """What happened at the place of a try while it was there or soon after it had failed.

        Args:
            each: a try that failed.
            submitted: when its task was, seconds UTC.
        """
        found = [event for event in self._events if _was_there(event, each, event.time - submitted)]
        return [
            Nearby(at=event.time - submitted, kind=event.kind, words=_WORDS[type(event)](event))
            for event in sorted(found, key=lambda event: event.time)
        ]


def _was_there(event: Event, each: TryStory, at: float) -> bool:
    begin = each.started if each.started is not None else each.launched
    if begin is None or each.ended is None or not begin - BEFORE <= at <= each.ended + _after(event, each):
        return False
    return _is_same_place(event, each.place)


def _after(event: Event, each: TryStory) -> float:
    lost = each.diagnosis is not None and each.diagnosis.failure_class in _LOST_WITH_BLOCK
    return AFTER_FOR_BLOCKS if lost and isinstance(event, BlockLost) else AFTER


def _is_same_place(event: Event, place: dict[str, Any]) -> bool:
    if isinstance(event, FaultInjected) and event.pid and event.pid == place.get("pid"):
        return True
    if isinstance(event, BlockLost):
        return event.block is not None and _same(event, place, "executor", "block")
    return event.manager is not None and _same(event, place, "manager")


def _same(event: Event, place: dict[str, Any], *names: str) -> bool:
    return all(getattr(event, name) == place.get(name) for name in names)


def _manager_lost(event: ManagerLost) -> str:
    return f"the manager was lost: {event.reason}"


def _manager_ended(event: ManagerEnded) -> str:
    code = "" if event.exit_code is None else f"exit code {event.exit_code}"
    return f"the manager's process ended: {joined((event.reason, code))}"


def _node_suspected(event: NodeSuspected) -> str:
    return f"the node was silent for {duration(event.seconds)}: {event.reason}"


def _node_lost(event: NodeLost) -> str:
    return f"the node was lost: {' and '.join(event.evidence)}"


def _block_lost(event: BlockLost) -> str:
    code = "" if event.exit_code is None else f"exit code {event.exit_code}"
    return f"the block ended: {joined((event.state, code, clip(event.message, _CLIP)))}"


def _quarantined(event: PlaceQuarantined) -> str:
    level = "manager" if event.manager else "node" if event.node else "executor"
    return f"the {level} was put in quarantine for {duration(event.seconds)}: {event.reason}"


def _fault(event: FaultInjected) -> str:
    return f"on purpose: {joined((event.fault, f'pid {event.pid}' if event.pid else '', event.note))}"


_WORDS: dict[type[Event], Callable[[Any], str]] = {
    ManagerLost: _manager_lost,
    ManagerEnded: _manager_ended,
    NodeSuspected: _node_suspected,
    NodeLost: _node_lost,
    BlockLost: _block_lost,
    PlaceQuarantined: _quarantined,
    FaultInjected: _fault,
}
