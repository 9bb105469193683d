"""The managers of one run, folded event by event: where they are, and which of them get work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.events import (
    Event,
    EventsCompacted,
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    NodeRecovered,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
)
from parsl_diaspora.state.holds import Holds
from parsl_diaspora.state.quarantined import Quarantined
from parsl_diaspora.state.records import ManagerState, NodeState


class Managers:
    """Managers, their nodes, and what keeps work from them.

    Args:
        word: gives the one copy of a name.

    Attributes:
        by_name: by manager id.
        nodes: by host name.
        present: managers that are there and get work, by executor label.
        workers: how many workers those managers have, by executor label.
        quarantined: places that get no new work for a while.
        holds: places that get no new work until somebody releases them.

    Example:
        >>> managers = Managers(str)
        >>> managers.fold(ManagerSeen(executor="cpu", manager="m1", workers=4))
        >>> managers.present, managers.workers
        ({'cpu': {'m1'}}, {'cpu': 4})
    """

    def __init__(self, word: Callable[[str], str]) -> None:
        self._word = word
        self.by_name: dict[str, ManagerState] = {}
        self.nodes: dict[str, NodeState] = {}
        self.present: dict[str, set[str]] = {}
        self.workers: dict[str, int] = {}
        self.quarantined = Quarantined()
        self.holds = Holds()

    def fold(self, event: Event) -> None:
        """Take note of an event about places; those of other kinds change nothing."""
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    def of(self, event: Event) -> ManagerState | None:
        """The manager that an event names, with what that tells of its place; None if it names none."""
        if event.manager is None:
            return None
        manager = self.by_name.get(event.manager)
        if manager is not None and _is_known_at(manager, event):
            return manager
        name = self._word(event.manager)
        if manager is None:
            manager = self.by_name[name] = ManagerState()
        manager.executor = self._word(event.executor) if event.executor else manager.executor
        manager.block = self._word(event.block) if event.block else manager.block
        if event.node is not None:
            manager.node = self._word(event.node)
            self.node(event.node).managers.add(name)
        self._settle(name, manager)
        return manager

    def node(self, name: str) -> NodeState:
        """The node of that name."""
        if (node := self.nodes.get(name)) is None:
            node = self.nodes[name] = NodeState()
        return node

    # --- which get work ---

    def _settle(self, name: str, manager: ManagerState, workers: int | None = None) -> None:
        """Keep the sets by executor in step with one manager."""
        if not manager.executor:  # told of by something that does not know; it will be, before it gets tasks
            manager.workers = manager.workers if workers is None else workers
            return
        present = self.present.setdefault(manager.executor, set())
        counted = self.workers.get(manager.executor, 0) - (manager.workers if name in present else 0)
        manager.workers = manager.workers if workers is None else workers
        if self._gets_no_work(name, manager):
            present.discard(name)
        else:
            present.add(name)
            counted += manager.workers
        self.workers[manager.executor] = counted

    def _settle_all(self, executor: str | None) -> None:
        """After a word about a place: there are few of these, and each may concern many managers."""
        for name, manager in self.by_name.items():
            if not executor or manager.executor == executor:
                self._settle(name, manager)

    def _gets_no_work(self, name: str, manager: ManagerState) -> bool:
        gone = manager.lost or manager.ended or manager.suspected or self.quarantined.on(name, manager)
        return bool(gone) or self.holds.on(name, manager) is not None

    # --- folds ---

    def _seen(self, event: ManagerSeen) -> None:
        if (manager := self.of(event)) is not None:
            manager.lost = ""
            self._settle(event.manager or "", manager, event.workers)

    def _lost(self, event: ManagerLost) -> None:
        if (manager := self.of(event)) is not None:
            manager.lost = event.reason or "lost"
            self._settle(event.manager or "", manager)

    def _ended(self, event: ManagerEnded) -> None:
        if event.manager is None or (manager := self.of(event)) is None:
            return
        manager.ended = event.reason or "ended"
        self._settle(event.manager, manager)
        if event.next:
            self.holds.pass_on(event.manager, event.next)
            if (successor := self.by_name.get(event.next)) is not None:
                self._settle(event.next, successor)

    def _suspected(self, event: NodeSuspected) -> None:
        self._suspect(event, event.reason or "silent")

    def _recovered(self, event: NodeRecovered | NodeLost) -> None:
        self._suspect(event, "")

    def _suspect(self, event: Event, why: str) -> None:
        if event.manager is not None and (manager := self.of(event)) is not None:
            manager.suspected = why
            self._settle(event.manager, manager)

    def _quarantine(self, event: PlaceQuarantined) -> None:
        self.quarantined.put(event)
        self._settle_place(event)

    def _hold(self, event: PlaceHeld) -> None:
        self.holds.put(event)
        self._settle_all(event.executor)

    def _release(self, event: PlaceReleased) -> None:
        self.quarantined.lift(event)
        if event.owner:
            self.holds.lift(event)
            self._settle_all(event.executor)
        self._settle_place(event)

    def _settle_place(self, event: Event) -> None:
        if event.manager is None:
            self._settle_all(event.executor)
        elif (manager := self.of(event)) is not None:
            self._settle(event.manager, manager)

    def _compacted(self, event: EventsCompacted) -> None:
        for name, started in event.started.items():
            self.by_name.setdefault(self._word(name), ManagerState()).started += started


def _is_known_at(manager: ManagerState, event: Event) -> bool:
    """Whether an event says nothing new of where its manager is: nearly all do not, and there are many."""
    return (
        (not event.executor or event.executor == manager.executor)
        and (not event.block or event.block == manager.block)
        and (event.node is None or event.node == manager.node)
    )


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    ManagerSeen: Managers._seen,
    ManagerLost: Managers._lost,
    ManagerEnded: Managers._ended,
    NodeSuspected: Managers._suspected,
    NodeRecovered: Managers._recovered,
    NodeLost: Managers._recovered,
    PlaceHeld: Managers._hold,
    PlaceQuarantined: Managers._quarantine,
    PlaceReleased: Managers._release,
    EventsCompacted: Managers._compacted,
}
