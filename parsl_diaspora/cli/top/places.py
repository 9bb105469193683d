"""Nodes, blocks, managers and workers: who is there, what they use, what runs on them, what is held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from parsl_diaspora.cli.top.frame import BlockRow, HoldRow, NodeRow, WorkerRow
from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    Event,
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSeen,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    TryEnded,
    TryFailed,
    TryStarted,
    TryStopped,
    WorkerEnded,
    WorkerSampled,
)

GONE = 50  # managers, nodes and blocks that are gone and still shown, of each the newest

Key = tuple[str, int]  # a manager and a rank of its


class Manager(msgspec.Struct):
    """One manager: its place, whether it has gone, and what failed there."""

    executor: str = ""
    block: str = ""
    node: str = ""
    workers: int = 0
    failed: int = 0
    gone: bool = False


class Node(msgspec.Struct):
    """One node: why it is not simply up, and the newest of what its supervisors told."""

    state: str = ""
    note: str = ""
    seen: NodeSeen | None = None
    sample: NodeSampled | None = None


class Worker(msgspec.Struct):
    """One worker: what it runs, and the newest of what was measured."""

    pid: int = 0
    task: int | None = None
    try_id: int = 0
    started: float = 0.0
    sample: WorkerSampled | None = None


class Places:
    """Folds what is said of places.

    Attributes:
        managers: by their ids.
    """

    def __init__(self) -> None:
        self.managers: dict[str, Manager] = {}
        self._nodes: dict[str, Node] = {}
        self._blocks: dict[tuple[str, str], BlockRow] = {}
        self._workers: dict[Key, Worker] = {}
        self._holds: dict[tuple[str, str], HoldRow] = {}
        self._lost_blocks: deque[tuple[str, str]] = deque()
        self._closed: dict[Key, tuple[int, int]] = {}  # the newest try that has ended at a worker

    def fold(self, event: Event) -> None:
        """Take one event into account."""
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    # --- questions ---

    def nodes(self) -> list[NodeRow]:
        """All nodes by name, with the sums over their managers."""
        rows = {name: _node_row(name, node) for name, node in self._nodes.items()}
        for name, manager in self.managers.items():
            if manager.node:
                row = rows.setdefault(manager.node, NodeRow(node=manager.node))
                row.failed += manager.failed
                if not manager.gone:
                    row.managers += 1
                    row.workers += manager.workers
                    row.running += sum(worker.task is not None for _, worker in self._of(name))
        for row in rows.values():
            self._mark(row)
        return sorted(rows.values(), key=lambda row: row.node)

    def blocks(self) -> list[BlockRow]:
        """All blocks, with the sums over their managers."""
        rows = {key: msgspec.structs.replace(row) for key, row in self._blocks.items()}
        for name, manager in self.managers.items():
            if not manager.gone and manager.block:
                key = manager.executor, manager.block
                row = rows.setdefault(key, BlockRow(executor=key[0], block=key[1], state="seen"))
                row.managers += 1
                row.workers += manager.workers
                row.running += sum(worker.task is not None for _, worker in self._of(name))
        return sorted(rows.values(), key=lambda row: (row.executor, row.block))

    def workers(self, now: float, app_of: Callable[[int | None], str]) -> list[WorkerRow]:
        """All workers that have told something of themselves, those that run longest first."""
        rows = []
        for (name, rank), worker in self._workers.items():
            manager = self.managers.get(name, Manager())
            sample, busy = worker.sample, worker.task is not None
            rows.append(
                WorkerRow(
                    executor=manager.executor,
                    node=manager.node,
                    manager=name,
                    worker=rank,
                    pid=worker.pid,
                    task=worker.task,
                    try_id=worker.try_id if busy else None,
                    app=app_of(worker.task),
                    seconds=max(0.0, now - worker.started) if busy else None,
                    cpu=sample.cpu if sample is not None else None,
                    memory=sample.memory if sample is not None else None,
                )
            )
        return sorted(rows, key=lambda row: (-(row.seconds or 0.0), row.executor, row.manager, row.worker))

    def holds(self) -> list[HoldRow]:
        """Places that get no new work, the newest last."""
        return sorted(self._holds.values(), key=lambda row: row.since)

    def _of(self, manager: str) -> Iterable[tuple[int, Worker]]:
        for rank in range(self.managers[manager].workers):
            if (worker := self._workers.get((manager, rank))) is not None:
                yield rank, worker

    def _mark(self, row: NodeRow) -> None:
        hold = self._holds.get(("node", row.node))
        if hold is not None and row.state == "up":
            row.state, row.note = hold.what, hold.reason
        if row.state == "up" and not row.managers and self._managed(row.node):
            row.state, row.note = "gone", row.note or "none of its managers is left"

    def _managed(self, node: str) -> bool:
        return any(manager.node == node for manager in self.managers.values())

    # --- folds: managers and workers ---

    def _manager(self, event: Event) -> Manager | None:
        if event.manager is None:
            return None
        manager = self.managers.get(event.manager)
        if manager is None:
            manager = self.managers[event.manager] = Manager()
        manager.executor = event.executor or manager.executor
        manager.block = event.block or manager.block
        if event.node and event.node != manager.node:
            manager.node = event.node
            self._nodes.setdefault(event.node, Node())
        if event.worker is not None and event.worker >= manager.workers:
            manager.workers = event.worker + 1
        return manager

    def _worker(self, event: Event) -> Worker | None:
        manager = self._manager(event)
        if manager is None or manager.gone or event.worker is None or event.worker < 0:
            return None
        key = event.manager or "", event.worker
        if (worker := self._workers.get(key)) is None:
            worker = self._workers[key] = Worker()
        return worker

    def _manager_seen(self, event: ManagerSeen) -> None:
        if (manager := self._manager(event)) is not None:
            manager.workers = max(manager.workers, event.workers)

    def _manager_gone(self, event: ManagerLost | ManagerEnded) -> None:
        manager = self._manager(event)
        if manager is None or manager.gone:
            return
        manager.gone = True
        for key in [key for key in self._workers if key[0] == event.manager]:
            del self._workers[key]
            self._closed.pop(key, None)
        gone = [name for name, each in self.managers.items() if each.gone]
        for name in gone[:-GONE]:
            del self.managers[name]

    def _started(self, event: TryStarted) -> None:
        worker = self._worker(event)
        if worker is None:
            return
        number = (event.task or 0, event.try_id or 0)
        if self._closed.get((event.manager or "", event.worker or 0)) == number:
            return  # its end was told before its start
        worker.pid, worker.task, worker.try_id = event.pid, *number
        worker.started = event.time

    def _try_over(self, event: TryEnded | TryFailed | TryStopped) -> None:
        manager, worker = self._manager(event), self._worker(event)
        if manager is not None and isinstance(event, TryFailed):
            manager.failed += 1
        if worker is None:
            return
        number = (event.task or 0, event.try_id or 0)
        if worker.task == number[0] and worker.try_id == number[1]:
            worker.task = None
        else:
            self._closed[event.manager or "", event.worker or 0] = number

    def _worker_sampled(self, event: WorkerSampled) -> None:
        if (worker := self._worker(event)) is not None:
            worker.sample, worker.pid = event, event.pid

    def _worker_ended(self, event: WorkerEnded) -> None:
        worker = self._worker(event)
        if worker is not None and worker.pid in (0, event.pid):
            worker.task, worker.sample, worker.pid = None, None, 0

    # --- folds: nodes and blocks ---

    def _node(self, event: Event) -> Node:
        self._manager(event)
        return self._nodes.setdefault(event.node or "", Node())

    def _node_seen(self, event: NodeSeen) -> None:
        node = self._node(event)
        node.seen, node.state, node.note = event, "", ""

    def _node_sampled(self, event: NodeSampled) -> None:
        node = self._node(event)
        if node.sample is None or event.time >= node.sample.time:
            node.sample = event

    def _node_suspected(self, event: NodeSuspected) -> None:
        node = self._node(event)
        node.state, node.note = "suspected", event.reason

    def _node_recovered(self, event: NodeRecovered) -> None:
        node = self._node(event)
        node.state = node.note = ""

    def _node_ending(self, event: NodeEnding) -> None:
        node = self._node(event)
        node.state, node.note = "ending", event.reason

    def _node_lost(self, event: NodeLost) -> None:
        node = self._node(event)
        node.state, node.note = "lost", "; ".join(event.evidence)
        lost = [name for name, each in self._nodes.items() if each.state == "lost"]
        for name in lost[:-GONE]:
            del self._nodes[name]

    def _block(self, event: BlockSeen | BlockLost) -> None:
        key = event.executor or "", event.block or ""
        self._blocks[key] = BlockRow(executor=key[0], block=key[1], state=event.state, job=event.job)
        if isinstance(event, BlockLost):
            self._lost_blocks.append(key)
            if len(self._lost_blocks) > GONE:
                self._blocks.pop(self._lost_blocks.popleft(), None)

    # --- folds: holds ---

    def _hold(self, event: PlaceHeld | PlaceQuarantined) -> None:
        name, value = _held_place(event)
        what, owner = "quarantine", ""
        if isinstance(event, PlaceHeld):
            what, owner = ("draining" if event.drain else "held"), event.owner
        self._holds[name, value] = HoldRow(
            what=what, place=f"{name} {value}", since=event.time, owner=owner, reason=event.reason
        )

    def _release(self, event: PlaceReleased) -> None:
        self._holds.pop(_held_place(event), None)


def _held_place(event: Event) -> tuple[str, str]:
    """The smallest place that the event names."""
    for name in ("manager", "block", "node", "executor"):
        if (value := getattr(event, name)) is not None:
            return name, value
    return "place", ""


def _node_row(name: str, node: Node) -> NodeRow:
    row, seen, sample = NodeRow(node=name, state=node.state or "up", note=node.note), node.seen, node.sample
    if seen is not None:
        row.cores, row.memory = seen.cores or None, seen.memory or None
    if sample is not None:
        row.cpu, row.memory_used, row.disk_free = sample.cpu, sample.memory_used, sample.disk_free
        row.pool_cpu, row.pool_memory = sample.pool_cpu, sample.pool_memory
        row.gpu, row.sampled = sample.gpu, sample.time
    return row


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    ManagerSeen: Places._manager_seen,
    ManagerLost: Places._manager_gone,
    ManagerEnded: Places._manager_gone,
    TryStarted: Places._started,
    TryEnded: Places._try_over,
    TryFailed: Places._try_over,
    TryStopped: Places._try_over,
    WorkerSampled: Places._worker_sampled,
    WorkerEnded: Places._worker_ended,
    NodeSeen: Places._node_seen,
    NodeSampled: Places._node_sampled,
    NodeSuspected: Places._node_suspected,
    NodeRecovered: Places._node_recovered,
    NodeEnding: Places._node_ending,
    NodeLost: Places._node_lost,
    BlockSeen: Places._block,
    BlockLost: Places._block,
    PlaceHeld: Places._hold,
    PlaceQuarantined: Places._hold,
    PlaceReleased: Places._release,
}
