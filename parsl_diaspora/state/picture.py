"""The picture of one run, folded event by event. Every question is answered in O(1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from parsl_diaspora.events import (
    DecisionMade,
    Event,
    FaultInjected,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    MigrationStarted,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskHeld,
    TaskMoved,
    TaskReleased,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
)
from parsl_diaspora.state.held import HeldTasks
from parsl_diaspora.state.managers import Managers
from parsl_diaspora.state.recent import Recent
from parsl_diaspora.state.records import GOT_ON, ManagerState, TaskState, TryState
from parsl_diaspora.state.surroundings import Surroundings

#: Workers that lack this package run tasks as stock Parsl does, so they are not unfit for the app.
OWN_PACKAGE = "parsl_diaspora"


class Picture:
    """All that is known of a run.

    Args:
        run: Parsl's run id.
        keep: finished tasks that are kept, the newest; all if None. Counts go on counting.

    Attributes:
        run: Parsl's run id.
        started: the run's first event, once seen.
        ended: the run's last event, once seen.
        tasks: by task id.
        managers: by manager id.
        nodes: by host name.
        outstanding: tries launched and not ended, by executor label.
        present: managers that are there and get work, by executor label.
        workers: how many workers those managers have, by executor label.
        succeeded: tries that succeeded at managers, by executor label.
        failed: tries that failed at managers, by executor label and failure class.
        quarantined: places that get no new work for a while, and those on trial after it.
        holds: places that get no new work until somebody releases them.
        held: tasks that wait until somebody releases them.
        unfit: (app, executor) to the module that is missing there.
        overcome: (app, fingerprint) of failures after which the same task succeeded: not deterministic.
        faults: injected faults.
        recent: the newest failures by executor and app.
        counts: finished tasks by outcome, and ``tries``, ``failed_tries``, ``decisions``.
    """

    def __init__(self, run: str, keep: int | None = None) -> None:
        self.run = run
        self._keep = keep
        self._finished: deque[int] = deque()
        self.started: RunStarted | None = None
        self.ended: RunEnded | None = None
        self.first_time = self.last_time = 0.0
        self.tasks: dict[int, TaskState] = {}
        self.outstanding: dict[str, int] = {}
        self.succeeded: dict[str, int] = {}
        self.failed: dict[str, dict[str, int]] = {}
        self.held = HeldTasks()
        self.unfit: dict[tuple[str, str], str] = {}
        self.overcome: set[tuple[str, str]] = set()
        self.faults: list[FaultInjected] = []
        self.surroundings = Surroundings()
        self.counts: dict[str, int] = {}
        self.recent = Recent()
        self._words: dict[str, str] = {}
        self._managers = Managers(self._word)
        self.managers, self.nodes = self._managers.by_name, self._managers.nodes
        self.present, self.workers = self._managers.present, self._managers.workers
        self.quarantined, self.holds = self._managers.quarantined, self._managers.holds

    def fold(self, event: Event) -> None:
        """Take one event into the picture. Events of other runs and unknown kinds change nothing."""
        if event.run != self.run:
            return
        self.last_time = max(self.last_time, event.time)
        if event.time < self.first_time or not self.first_time:
            self.first_time = event.time
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)
        else:
            self._managers.fold(event)
        self.surroundings.fold(event)

    # --- questions ---

    def has_other_manager(self, executor: str, manager: str | None) -> bool:
        """Whether an executor has managers to offer besides this one."""
        present = self.present.get(executor, ())
        return len(present) > (manager in present)

    def has_managers(self, executor: str) -> bool:
        """Whether an executor has managers to offer, or is of a kind of which none was ever seen."""
        return bool(self.present.get(executor, True))

    def load(self, executor: str) -> float:
        """Tries outstanding at an executor, a worker."""
        return self.outstanding.get(executor, 0) / max(1, self.workers.get(executor, 0))

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
        tries, number = self._task(event).tries, event.try_id or 0
        while len(tries) <= number:
            tries.append(TryState())
        return tries[number]

    def _word(self, text: str) -> str:
        """The one copy of a name: decoding makes a new string of it for each event."""
        return self._words.setdefault(text, text)

    def _count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def _take_place(self, state: TryState, event: Event) -> None:
        if event.executor and event.executor != state.executor:
            state.executor = self._word(event.executor)
        if event.block and event.block != state.block:
            state.block = self._word(event.block)
        if event.manager and event.manager != state.manager:
            state.manager = self._word(event.manager)
        if event.node and event.node != state.node:
            state.node = self._word(event.node)
        if event.worker is not None:
            state.worker = event.worker

    def _run_started(self, event: RunStarted) -> None:
        self.started = event

    def _run_ended(self, event: RunEnded) -> None:
        self.ended = event

    def _submitted(self, event: TaskSubmitted) -> None:
        self._task(event).func = self._word(event.func)
        self._launched(event)

    def _launched(self, event: Event) -> None:
        self.held.lift(event)
        state = self._try(event)
        state.executor = self._word(event.executor) if event.executor else event.executor
        self._count("tries")
        if state.status in ("launched", "running") and state.outstanding_at is None:
            state.outstanding_at = state.executor or ""
            self._outstanding(state.outstanding_at, 1)

    def _try_started(self, event: TryStarted) -> None:
        state, manager = self._try(event), self._managers.of(event)
        if manager is not None:
            manager.started += 1
            manager.pid = event.manager_pid
            manager.last_start = max(manager.last_start, event.time)
        if _is_of_copy(event, state):
            if manager is not None:
                manager.running.add((event.task or 0, event.try_id or 0))
            return
        self._take_place(state, event)
        state.pid = event.pid
        if state.status == "launched":
            state.status = "running"
            if manager is not None:
                manager.running.add((event.task or 0, event.try_id or 0))
        elif (
            state.status == "cancelled" and manager is not None
        ):  # nobody waits for it, but the worker is busy
            manager.running.add((event.task or 0, event.try_id or 0))
        elif state.decided:  # a killed worker's last words, heard after the decision
            self._blame(event.task or 0, state)

    def _migration_ready(self, event: MigrationReady) -> None:
        """A worker is busy with the successor of a try that still runs, unless nobody needs that any more."""
        manager = self._managers.of(event)
        if manager is not None and self._task(event).moving == event.executor:
            manager.started += 1
            manager.pid = event.manager_pid
            manager.last_start = max(manager.last_start, event.time)
            manager.running.add((event.task or 0, event.try_id or 0))

    def _migration_started(self, event: MigrationStarted) -> None:
        self._task(event).moving = self._word(event.to)

    def _migration_done(self, event: MigrationDone) -> None:
        self._task(event).moving = ""

    def _migration_failed(self, event: MigrationFailed) -> None:
        """What is still heard of its successor is the end of a worker's being busy."""
        self._task(event).moving = ""
        key = event.task or 0, (event.try_id or 0) + 1
        for manager in self.managers.values():
            if manager.executor == event.to:
                manager.running.discard(key)

    def _try_ended(self, event: TryEnded) -> None:
        state, manager = self._close_try(event, "ended")
        state.seconds = event.seconds
        if manager is not None:
            manager.last_success = max(manager.last_success, event.time)
            manager.succeeded += 1
            self.succeeded[manager.executor] = self.succeeded.get(manager.executor, 0) + 1

    def _try_failed(self, event: TryFailed) -> None:
        state, _ = self._close_try(event, "failed")
        state.seconds = event.seconds
        state.fingerprint = self._word(event.failure.fingerprint)
        self._count("failed_tries")

    def _try_stopped(self, event: TryStopped) -> None:
        manager = self._managers.of(event)
        if not _is_of_copy(event, self._try(event)):
            self._close_try(event, "stopped")
        elif manager is not None:
            manager.running.discard((event.task or 0, event.try_id or 0))

    def _moved(self, event: TaskMoved) -> None:
        """What a manager of its old place does with it is no longer the try's own."""
        state = self._try(event)
        if state.status not in ("launched", "running"):
            return  # it has ended meanwhile
        state.executor, state.status = self._word(event.to), "launched"
        state.block = state.manager = state.node = state.worker = None
        state.pid = 0
        if state.outstanding_at is not None:
            self._outstanding(state.outstanding_at, -1)
            state.outstanding_at = state.executor
            self._outstanding(state.outstanding_at, 1)

    def _close_try(self, event: Event, status: str) -> tuple[TryState, ManagerState | None]:
        state = self._try(event)
        self._take_place(state, event)
        manager = self._managers.of(event) or self.managers.get(state.manager or "")
        self._settle_try(state, status)
        if manager is not None:
            manager.running.discard((event.task or 0, event.try_id or 0))
        return state, manager

    def _settle_try(self, state: TryState, status: str) -> None:
        state.status = status
        if state.outstanding_at is not None:
            self._outstanding(state.outstanding_at, -1)
            state.outstanding_at = None

    def _outstanding(self, label: str, by: int) -> None:
        self.outstanding[label] = self.outstanding.get(label, 0) + by

    def _declined(self, event: TryDeclined) -> None:
        self._count("declined")

    def _decided(self, event: DecisionMade) -> None:
        self._count("decisions")
        if not event.tries:
            return
        task, state = self._task(event), self._try(event)
        if event.revises:
            self._take_back(event.task or 0, task, state)
        state.failure_class = self._word(event.diagnosis.failure_class)
        task.free += state.failure_class in GOT_ON
        if event.budget:
            task.spent = {**task.spent, event.budget: event.used}
            state.charged = self._word(event.budget)
        state.decided, state.rule = event.time, self._word(event.rule)
        if event.memory is not None:
            task.memory = event.memory
        if not event.revises:  # that one failure was counted
            record = (event.time, event.task or 0, state.failure_class)
            self.recent.fail(record, state.executor or "", task.func)
        self._blame(event.task or 0, state)
        missing = event.diagnosis.missing
        named = missing.replace(".", "_").isidentifier() and missing != OWN_PACKAGE
        if state.failure_class in _LACKS and named and state.executor:
            self.unfit[task.func, state.executor] = missing

    def _take_back(self, number: int, task: TaskState, state: TryState) -> None:
        """A decision is replaced: what it charged and whom it blamed counts no more."""
        task.free -= state.failure_class in GOT_ON
        left = task.spent.get(state.charged, 0) - 1
        task.spent = {name: count for name, count in task.spent.items() if name != state.charged}
        if left > 0:
            task.spent = {**task.spent, state.charged: left}
        record = (state.decided, number, state.failure_class)
        if (manager := self.managers.get(state.manager or "")) is not None and record in manager.failures:
            manager.failures.remove(record)
            for failed in (manager.failed, self.failed.setdefault(manager.executor, {})):
                failed[state.failure_class] = failed.get(state.failure_class, 1) - 1
        node = self.nodes.get(state.node or "")
        if node is not None and record in node.failures:
            node.failures.remove(record)

    def _blame(self, task: int, state: TryState) -> None:
        """Put a failed try on the record of the places where it was, as far as they are known."""
        record = (state.decided, task, state.failure_class)
        if (manager := self.managers.get(state.manager or "")) is not None and record not in manager.failures:
            manager.failures.append(record)
            for failed in (manager.failed, self.failed.setdefault(manager.executor, {})):
                failed[state.failure_class] = failed.get(state.failure_class, 0) + 1
        if state.node is not None:
            failures = self._managers.node(state.node).failures
            if record not in failures:
                failures.append(record)

    def _task_ended(self, event: TaskEnded) -> None:
        self.held.lift(event)
        state = self._task(event)
        if not state.outcome:
            self._count(event.outcome)
        state.outcome, state.moving = self._word(event.outcome), ""
        state.error = event.error
        state.func = self._word(event.func or state.func)
        done = event.outcome == "done"
        for each in state.tries:
            if each.outstanding_at is not None:  # as of a join app that failed through an inner task
                self._settle_try(each, _STATUS.get(event.outcome, "failed"))
            if done and each.fingerprint:
                self.overcome.add((state.func, each.fingerprint))
        self._forget_oldest(event.task)

    def _forget_oldest(self, newest: int | None) -> None:
        if self._keep is None or newest is None:
            return
        self._finished.append(newest)
        if len(self._finished) > self._keep:
            self.tasks.pop(self._finished.popleft(), None)

    def _task_held(self, event: TaskHeld) -> None:
        state = self._task(event)
        state.func = self._word(event.func or state.func)
        self.held.put(event)

    def _task_released(self, event: TaskReleased) -> None:
        self.held.lift(event)
        if event.how == "retry":
            state = self._task(event)
            state.spent, state.forgiven, state.free = {}, len(state.tries), 0

    def _fault(self, event: FaultInjected) -> None:
        self.faults.append(event)


def _is_of_copy(event: Event, state: TryState) -> bool:
    """Whether this is about a second copy of a try, at another executor of the same pool."""
    return bool(event.executor and state.executor and event.executor != state.executor)


#: Classes that say what an executor lacks; the second as earlier releases called it, in their logs.
_LACKS = ("missing_module", "environment")

_STATUS = {"done": "ended", "cancelled": "cancelled"}

_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    RunStarted: Picture._run_started,
    RunEnded: Picture._run_ended,
    TaskSubmitted: Picture._submitted,
    TryLaunched: Picture._launched,
    TryStarted: Picture._try_started,
    MigrationStarted: Picture._migration_started,
    MigrationReady: Picture._migration_ready,
    MigrationDone: Picture._migration_done,
    MigrationFailed: Picture._migration_failed,
    TryDeclined: Picture._declined,
    TryEnded: Picture._try_ended,
    TryFailed: Picture._try_failed,
    TryStopped: Picture._try_stopped,
    TaskMoved: Picture._moved,
    DecisionMade: Picture._decided,
    TaskEnded: Picture._task_ended,
    TaskHeld: Picture._task_held,
    TaskReleased: Picture._task_released,
    FaultInjected: Picture._fault,
}
