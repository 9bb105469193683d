"""Places that get no new work because somebody said so, until somebody says otherwise."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from parsl_diaspora.events import Event, PlaceHeld
from parsl_diaspora.state.records import Hold, ManagerState

#: From the smallest place to the largest: the first that an event names is meant, the others say where it is.
LEVELS = ("manager", "block", "node")

Key = tuple[str, str, str]


class Holds:
    """The holds of one run.

    Example:
        >>> holds = Holds()
        >>> holds.put(PlaceHeld(node="n17", reason="its disk is full", owner="ada"))
        >>> holds.on("m1", ManagerState(executor="cpu", node="n17")).reason
        'its disk is full'
    """

    def __init__(self) -> None:
        self._by_key: dict[Key, Hold] = {}

    def __iter__(self) -> Iterator[Hold]:
        return iter(list(self._by_key.values()))  # other threads add and remove

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Holds) and self._by_key == other._by_key

    __hash__ = None  # type: ignore[assignment]

    def put(self, event: PlaceHeld) -> None:
        """Hold the place that an event names; a later word on the same place replaces the earlier one."""
        if (key := key_of(event)) is None:
            return
        level, executor, name = key
        self._by_key[key] = Hold(
            level=level,
            name=name,
            executor=executor,
            reason=event.reason,
            owner=event.owner,
            drain=event.drain,
            since=event.time,
        )

    def lift(self, event: Event) -> None:
        """Release the place that an event names, at one executor or, if it names none, at all of them."""
        if (key := key_of(event)) is None:
            return
        level, executor, name = key
        for hold in self:
            if (hold.level, hold.name) == (level, name) and executor in ("", hold.executor):
                del self._by_key[hold.key]

    def pass_on(self, manager: str, successor: str) -> None:
        """A manager is replaced by another one in the same place: what was held stays so."""
        for hold in self:
            if (hold.level, hold.name) == ("manager", manager):
                successors = msgspec.structs.replace(hold, name=successor)
                self._by_key[successors.key] = successors

    def on(self, name: str, manager: ManagerState) -> Hold | None:
        """The hold that keeps a manager from getting work, if any."""
        if not self._by_key:
            return None
        places = (("manager", name), ("block", manager.block), ("node", manager.node))
        keys = (
            (level, executor, place or "") for level, place in places for executor in (manager.executor, "")
        )
        return next((hold for key in keys if (hold := self._by_key.get(key)) is not None), None)


def key_of(event: Event) -> Key | None:
    """Level, executor and name of the place that an event is about; None if it names none."""
    for level in LEVELS:
        if name := getattr(event, level):
            return level, event.executor or "", name
    return None
