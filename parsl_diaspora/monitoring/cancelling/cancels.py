"""Tasks that somebody asked to be stopped: ended on this side at once, and stopped where they run.

Whoever is first ends a task: this module, or Parsl's kernel that has just been given its result. `pass_once`
is where that is settled, so that no task ends twice.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError
from enum import Enum
from typing import TYPE_CHECKING, Any

from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora.errors import TaskCancelled, TaskStopped
from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    Event,
    NodeSeen,
    TaskCancelAsked,
    TryStarted,
    TryStopped,
)
from parsl_diaspora.executors.pool.work import PoolFuture
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.cancelling.stops import Stops
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record

if TYPE_CHECKING:
    from parsl_diaspora.executors.launch import Launch, Report
    from parsl_diaspora.executors.pool.work import Attempt
    from parsl_diaspora.monitoring.session import Session

RULE = "cancelled"
PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1)  # seconds between looks at a task that the kernel is just moving
LATER = 0.1


class Cancelled(str, Enum):
    """What `cancel` did. It is false if there was nothing to do: the task had ended already.

    Example:
        >>> bool(Cancelled.FINISHED), bool(Cancelled.STOPPING)
        (False, True)
    """

    FINISHED = "finished"
    """The task had ended already."""
    WITHDRAWN = "withdrawn"
    """It had not been launched: it waited for other tasks, or for its next try."""
    QUEUED = "queued"
    """It waited at its executor. If a worker begins it all the same, that is stopped."""
    STOPPING = "stopping"
    """It runs; the supervisor of its worker was told to stop it."""
    LEFT_RUNNING = "left_running"
    """It runs, and nothing there can stop it: its worker is busy to the end, and the result is dropped."""
    ASKED = "asked"
    """Parsl is busy with it at this very moment; it is ended as soon as that is over."""

    def __bool__(self) -> bool:
        return self is not Cancelled.FINISHED


_WORDS = {
    Cancelled.WITHDRAWN: "it had not been launched",
    Cancelled.QUEUED: "it had not begun",
    Cancelled.STOPPING: "its worker is told to stop it",
    Cancelled.ASKED: "it was just about to be launched",
    Cancelled.LEFT_RUNNING: "its worker stays busy with it, as nothing there can stop it",
}


class Asked:
    """One task that is to be stopped."""

    __slots__ = ("is_over", "outcome", "owner", "reason")

    def __init__(self, reason: str, owner: str) -> None:
        self.reason = reason
        self.owner = owner
        self.outcome = Cancelled.ASKED
        self.is_over = False


class Cancels:
    """What is to be stopped in one run.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._asked: dict[int, Asked] = {}
        self._lock = threading.Lock()
        self._errands = Errands("diaspora-cancel", lambda error: session.absorb("cancel", error))
        self._stops = Stops(session, self._errands)
        self._kernel: Any = None

    # --- what Parsl's hooks ask ---

    def is_asked(self, task: Record) -> bool:
        """Whether a task is to be stopped."""
        return task["id"] in self._asked

    def refuse(self, task: Record) -> None:
        """Let no try of a task begin that is to be stopped.

        Raises:
            TaskCancelled: it is.
        """
        self._kernel = task["dfk"]
        if (asked := self._asked.get(task["id"])) is not None:
            raise _error(task, asked)

    def pass_once(self, task: Record, error: BaseException | None) -> None:
        """Let only the first end of a task pass that is to be stopped, and tell why it is the end.

        Raises:
            InvalidStateError: it has ended.
        """
        if (asked := self._asked.get(task["id"])) is None:
            return
        with self._lock:
            if asked.is_over:
                raise InvalidStateError(f"Task {task['id']} was cancelled; what comes later changes nothing.")
            asked.is_over = True
        if isinstance(error, TaskCancelled):
            self._say_decided(task, asked)

    def can_stop(self, manager: str | None) -> bool:
        """Whether a supervisor of that manager has been heard of."""
        return self._stops.is_supervised(manager)

    # --- cancelling ---

    def cancel(self, task: Record, reason: str, owner: str) -> Cancelled:
        """End a task, and stop it where it runs."""
        if task["app_fu"].done():
            return Cancelled.FINISHED
        asked = self._ask(task, reason, owner)
        never = threading.Event()
        for pause in PAUSES:
            self._session.clock.wait(never, pause)
            if (outcome := self._attempt(task, asked)) is not None:
                return outcome
        self._later(task, asked)
        return Cancelled.ASKED

    def _ask(self, task: Record, reason: str, owner: str) -> Asked:
        number = task["id"]
        with self._lock:
            if (known := self._asked.get(number)) is not None:
                return known
            asked = self._asked[number] = Asked(reason, owner)
        live = self._session.begin(task["dfk"].run_id)
        live.say(TaskCancelAsked(task=number, reason=reason, owner=owner))
        return asked

    def _later(self, task: Record, asked: Asked) -> None:
        def again() -> None:
            if self._attempt(task, asked) is None:
                self._later(task, asked)

        self._session.clock.call_later(LATER, again)

    def _attempt(self, task: Record, asked: Asked) -> Cancelled | None:
        """What was done; None if the kernel is just moving the task."""
        stage = kernel.stage_of(task)
        if stage == "ended":
            return Cancelled.FINISHED
        if stage == "moving":
            return None
        if stage == "waiting":
            return self._end(task, asked, Cancelled.WITHDRAWN)
        if stage == "joining":
            return self._end_join(task, asked)
        return self._end_launched(task, asked)

    def _end(self, task: Record, asked: Asked, outcome: Cancelled) -> Cancelled:
        asked.outcome = outcome
        try:
            kernel.end_task(task, _error(task, asked))
        except InvalidStateError:  # the kernel was first
            return Cancelled.FINISHED
        return outcome

    def _end_launched(self, task: Record, asked: Asked) -> Cancelled | None:
        future = kernel.detach(task)
        if future is None:
            return None
        self._session.begin(task["dfk"].run_id).catch_up()
        stop = self._stops.of(task, asked.reason)
        if kernel.take_back(task, future):
            return self._end(task, asked, Cancelled.QUEUED)
        outcome = Cancelled(stop.outlook)
        ended = self._end(task, asked, outcome)
        stop.begin()
        self._stop_other_copies(task, future, asked.reason)
        future.add_done_callback(lambda done: self._ended_late(task, stop.try_id, asked, done))
        return ended

    def _stop_other_copies(self, task: Record, future: Future[Any], reason: str) -> None:
        """A pool of executors may have started a second copy of a slow try."""
        if not isinstance(future, PoolFuture):
            return
        future.work.withdrawn = True
        for attempt in future.copies():
            if attempt.label != task["executor"] and future.work.launch is not None:
                self.stop_copy(future.work.launch, attempt, reason)

    def stop_copy(self, launch: Launch, attempt: Attempt, reason: str) -> None:
        """Stop one copy of a try of which nobody waits for the end, where it runs or as soon as it begins."""
        stop = self._stops.of_copy(launch, attempt, reason)
        if stop.outlook != "left_running":
            stop.begin()
            if stop.manager is None and attempt.manager is not None:  # it began meanwhile
                stop.manager = attempt.manager
                stop.order()

    def copy_ended(self, launch: Launch, attempt: Attempt, report: Report | None) -> None:
        """A copy of which nobody waited for the end has ended."""
        future = attempt.future
        error = future.exception() if future is not None and not future.cancelled() else None
        self._stops.copy_ended((launch.task, launch.try_id, attempt.label), report, _how(error))

    def _end_join(self, task: Record, asked: Asked) -> Cancelled:
        outcome = self._end(task, asked, Cancelled.WITHDRAWN)
        inner = self._cancel_inner(kernel.inner_futures(task), task, asked)
        return max((outcome, *inner), key=list(Cancelled).index) if outcome else outcome

    def _cancel_inner(self, futures: list[Future[Any]], task: Record, asked: Asked) -> list[Cancelled]:
        reason = f"part of task {task['id']}, which was cancelled{_because(asked.reason)}"
        records = [getattr(future, "task_record", None) for future in futures]
        return [self.cancel(record, reason, asked.owner) for record in records if record is not None]

    def _ended_late(self, task: Record, try_id: int, asked: Asked, future: Future[Any]) -> None:
        """A try whose task was cancelled has come to its own end."""
        try:
            error = None if future.cancelled() else future.exception()
            self._stops.ended(task, try_id, _how(error))
            if task["join"] and error is None and not future.cancelled():
                self._cancel_inner(kernel.futures_in(future.result()), task, asked)
        except Exception as fault:  # noqa: BLE001 - promise 1: this is a thread of Parsl's
            self._session.absorb("cancel", fault)

    def _say_decided(self, task: Record, asked: Asked) -> None:
        live, words = self._session.begin(task["dfk"].run_id), f"{asked.owner} asked for it"
        diagnosis = Diagnosis(
            failure_class=RULE, confidence=1.0, evidence=(f"{words}{_because(asked.reason)}",)
        )
        launched = task["try_time_launched"] is not None
        live.say(
            DecisionMade(
                task=task["id"],
                try_id=task["try_id"] if launched else None,
                executor=task["executor"] if launched else None,
                diagnosis=diagnosis,
                rule=RULE,
                reason=f"{words}{_because(asked.reason)}; {_WORDS[asked.outcome]}",
                action="cancel",
            )
        )

    # --- what is heard ---

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, in the thread that met it."""
        kind = type(event)
        if kind is TryStarted:
            self._stops.started(event)
        elif kind is NodeSeen:
            self._stops.supervised(event.manager)
        elif kind is TryStopped:
            self._stops.stopped(event)
        elif kind is TaskCancelAsked and event.task not in self._asked:
            self._errands.run(lambda: self._cancel_as_asked(event))  # it runs callbacks of the program

    def _cancel_as_asked(self, event: TaskCancelAsked | Any) -> None:
        task = kernel.task_of(self._kernel or kernel.loaded(event.run), event.task or 0)
        if task is not None:
            with self._lock:
                asked = self._asked.setdefault(task["id"], Asked(event.reason, event.owner))
            self.cancel(task, asked.reason, asked.owner)

    def close(self) -> None:
        """The run ends."""
        self._errands.close()


def _error(task: Record, asked: Asked) -> TaskCancelled:
    message = (
        f"Task {task['id']} ({task['func_name']}) was cancelled by {asked.owner}{_because(asked.reason)}."
    )
    return TaskCancelled(message, task=task["id"], reason=asked.reason, hint="Call the app again to run it.")


def _because(reason: str) -> str:
    return f": {reason.rstrip('.')}" if reason else ""


def _how(error: BaseException | None) -> str:
    if isinstance(error, WorkerLost | ManagerLost):
        return "kill"
    return "signal" if isinstance(error, TaskStopped) else "end"
