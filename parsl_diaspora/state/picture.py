"""The picture of one run, folded event by event. Every question is answered in O(1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    DecisionMade,
    Event,
    FaultInjected,
    ManagerLost,
    ManagerSeen,
    PlaceQuarantined,
    PlaceReleased,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)

RECENT = 64


class TryState(msgspec.Struct, gc=False):
    """One try of a task: where it is or was, and how it went.

    Attributes:
        executor: label.
        block: block id.
        manager: manager id.
        worker: rank of the worker.
        node: host name.
        pid: of the worker, on its node.
        status: ``launched``, ``running``, ``ended`` or ``failed``.
        seconds: wall time on the worker.
        fingerprint: of the failure.
        failure_class: as diagnosed.
    """

    executor: str | None = None
    block: str | None = None
    manager: str | None = None
    worker: int | None = None
    node: str | None = None
    pid: int = 0
    status: str = "launched"
    seconds: float | None = None
    fingerprint: str = ""
    failure_class: str = ""

    @property
    def place(self) -> str:
        """The smallest place that is known to tell two tries apart: the manager, else the executor."""
        return self.manager or self.executor or ""


class TaskState(msgspec.Struct):
    """One task.

    Attributes:
        func: name of the app.
        tries: its tries, in order.
        outcome: empty until it ends.
        spent: failures charged so far, by budget.
        error: what the program saw.
    """

    func: str = ""
    tries: list[TryState] = []
    outcome: str = ""
    spent: dict[str, int] = {}
    error: str = ""


class ManagerState(msgspec.Struct):
    """One manager: a node's share of a block.

    Attributes:
        executor: label.
        block: block id.
        node: host name, once a try has told it.
        workers: how many it has.
        lost: why it is gone; empty while it is there.
        running: (task, try) pairs that started there and have not ended.
        started: tries that ever started there.
        last_start: when the last one did, seconds UTC.
        last_success: when a try last succeeded there, seconds UTC.
        failures: (time, task, failure class) of the newest failures there.
    """

    executor: str = ""
    block: str | None = None
    node: str | None = None
    workers: int = 0
    lost: str = ""
    running: set[tuple[int, int]] = msgspec.field(default_factory=set)
    started: int = 0
    last_start: float = 0.0
    last_success: float = 0.0
    failures: deque[tuple[float, int, str]] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT))


class NodeState(msgspec.Struct):
    """One node, over all managers that ran there.

    Attributes:
        managers: their ids.
        failures: (time, task, failure class) of the newest failures there.
    """

    managers: set[str] = msgspec.field(default_factory=set)
    failures: deque[tuple[float, int, str]] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT))


class Picture:
    """All that is known of a run.

    Attributes:
        run: Parsl's run id.
        started: the run's first event, once seen.
        ended: the run's last event, once seen.
        tasks: by task id.
        managers: by manager id.
        nodes: by host name.
        outstanding: tries launched and not ended, by executor label.
        blocks: state by (executor, block).
        quarantined: manager ids that get no new work, with the reason.
        unfit: (app, executor) to the module that is missing there.
        overcome: (app, fingerprint) of failures after which the same task succeeded: not deterministic.
        faults: injected faults.
        counts: finished tasks by outcome, and ``tries``, ``failed_tries``, ``decisions``.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self.started: RunStarted | None = None
        self.ended: RunEnded | None = None
        self.first_time = self.last_time = 0.0
        self.tasks: dict[int, TaskState] = {}
        self.managers: dict[str, ManagerState] = {}
        self.nodes: dict[str, NodeState] = {}
        self.outstanding: dict[str, int] = {}
        self.blocks: dict[tuple[str, str], str] = {}
        self.quarantined: dict[str, str] = {}
        self.unfit: dict[tuple[str, str], str] = {}
        self.overcome: set[tuple[str, str]] = set()
        self.faults: list[FaultInjected] = []
        self.counts: dict[str, int] = {}
        self._words: dict[str, str] = {}

    def fold(self, event: Event) -> None:
        """Take one event into the picture. Events of other runs and unknown kinds change nothing."""
        if event.run != self.run:
            return
        self.first_time = min(self.first_time or event.time, event.time)
        self.last_time = max(self.last_time, event.time)
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    # --- questions ---

    def live_managers(self, executor: str) -> list[str]:
        """Managers of an executor that are there and not in quarantine."""
        return [
            name
            for name, manager in self.managers.items()
            if manager.executor == executor and not manager.lost and name not in self.quarantined
        ]

    def last_try(self, task: int) -> TryState | None:
        """A task's newest try."""
        state = self.tasks.get(task)
        return state.tries[-1] if state is not None and state.tries else None

    # --- folds ---

    def _task(self, event: Event) -> TaskState:
        number = event.task if event.task is not None else -1
        if (state := self.tasks.get(number)) is None:
            state = self.tasks[number] = TaskState()
        return state

    def _try(self, event: Event) -> TryState:
        tries = self._task(event).tries
        while len(tries) <= (event.try_id or 0):
            tries.append(TryState())
        return tries[event.try_id or 0]

    def _word(self, text: str | None) -> str | None:
        """The one copy of a name: decoding makes a new string of it for each event."""
        return None if text is None else self._words.setdefault(text, text)

    def _manager(self, event: Event) -> ManagerState | None:
        if event.manager is None:
            return None
        name = self._word(event.manager) or ""
        if (manager := self.managers.get(name)) is None:
            manager = self.managers[name] = ManagerState()
        manager.executor = self._word(event.executor) or manager.executor
        manager.block = self._word(event.block) or manager.block
        if event.node is not None:
            manager.node = self._word(event.node)
            self.nodes.setdefault(event.node, NodeState()).managers.add(name)
        return manager

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def _take_place(self, state: TryState, event: Event) -> None:
        state.executor = self._word(event.executor) or state.executor
        state.block = self._word(event.block) or state.block
        state.manager = self._word(event.manager) or state.manager
        state.node = self._word(event.node) or state.node
        if event.worker is not None:
            state.worker = event.worker

    def _run_started(self, event: RunStarted) -> None:
        self.started = event

    def _run_ended(self, event: RunEnded) -> None:
        self.ended = event

    def _submitted(self, event: TaskSubmitted) -> None:
        self._task(event).func = self._word(event.func) or ""
        self._launched(event)

    def _launched(self, event: Event) -> None:
        state = self._try(event)
        state.executor = self._word(event.executor)
        self._count("tries")
        if state.status in ("launched", "running"):
            self._outstanding(state, 1)

    def _try_started(self, event: TryStarted) -> None:
        state = self._try(event)
        self._take_place(state, event)
        state.pid = event.pid
        manager = self._manager(event)
        if manager is not None:
            manager.started += 1
            manager.last_start = max(manager.last_start, event.time)
        if state.status == "launched":
            state.status = "running"
            if manager is not None:
                manager.running.add((event.task or 0, event.try_id or 0))

    def _try_ended(self, event: TryEnded) -> None:
        state, manager = self._close_try(event, "ended")
        state.seconds = event.seconds
        if manager is not None:
            manager.last_success = max(manager.last_success, event.time)

    def _try_failed(self, event: TryFailed) -> None:
        state, _ = self._close_try(event, "failed")
        state.seconds = event.seconds
        state.fingerprint = self._word(event.failure.fingerprint) or ""
        self._count("failed_tries")

    def _close_try(self, event: Event, status: str) -> tuple[TryState, ManagerState | None]:
        state = self._try(event)
        self._take_place(state, event)
        manager = self._manager(event) or self.managers.get(state.manager or "")
        if state.status in ("launched", "running"):
            self._outstanding(state, -1)
        state.status = status
        if manager is not None:
            manager.running.discard((event.task or 0, event.try_id or 0))
        return state, manager

    def _outstanding(self, state: TryState, by: int) -> None:
        label = state.executor or ""
        self.outstanding[label] = self.outstanding.get(label, 0) + by

    def _declined(self, event: TryDeclined) -> None:
        self._count("declined")

    def _decided(self, event: DecisionMade) -> None:
        self._count("decisions")
        if not event.tries:
            return
        task, state = self._task(event), self._try(event)
        state.failure_class = self._word(event.diagnosis.failure_class) or ""
        if event.budget:
            task.spent = {**task.spent, event.budget: event.used}
        record = (event.time, event.task or 0, state.failure_class)
        if (manager := self.managers.get(state.manager or "")) is not None:
            manager.failures.append(record)
        if state.node is not None:
            self.nodes.setdefault(state.node, NodeState()).failures.append(record)
        if event.diagnosis.failure_class == "environment" and event.diagnosis.missing and state.executor:
            self.unfit[task.func, state.executor] = event.diagnosis.missing

    def _task_ended(self, event: TaskEnded) -> None:
        state = self._task(event)
        if not state.outcome:
            self._count(event.outcome)
        state.outcome = self._word(event.outcome) or ""
        state.error = event.error
        if event.outcome == "done":
            self.overcome.update((state.func, each.fingerprint) for each in state.tries if each.fingerprint)

    def _manager_seen(self, event: ManagerSeen) -> None:
        if (manager := self._manager(event)) is not None:
            manager.workers, manager.lost = event.workers, ""

    def _manager_lost(self, event: ManagerLost) -> None:
        if (manager := self._manager(event)) is not None:
            manager.lost = event.reason or "lost"

    def _block(self, event: BlockSeen | BlockLost) -> None:
        self.blocks[event.executor or "", event.block or ""] = event.state

    def _quarantined(self, event: PlaceQuarantined) -> None:
        if event.manager is not None:
            self.quarantined[event.manager] = event.reason

    def _released(self, event: PlaceReleased) -> None:
        self.quarantined.pop(event.manager or "", None)

    def _fault(self, event: FaultInjected) -> None:
        self.faults.append(event)


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    RunStarted: Picture._run_started,
    RunEnded: Picture._run_ended,
    TaskSubmitted: Picture._submitted,
    TryLaunched: Picture._launched,
    TryStarted: Picture._try_started,
    TryDeclined: Picture._declined,
    TryEnded: Picture._try_ended,
    TryFailed: Picture._try_failed,
    DecisionMade: Picture._decided,
    TaskEnded: Picture._task_ended,
    ManagerSeen: Picture._manager_seen,
    ManagerLost: Picture._manager_lost,
    BlockSeen: Picture._block,
    BlockLost: Picture._block,
    PlaceQuarantined: Picture._quarantined,
    PlaceReleased: Picture._released,
    FaultInjected: Picture._fault,
}
