"""What people ask of tasks of a running program: hold, release, retry, fail, migrate."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import DecisionMade, Event, OrderAnswered, TaskActionAsked
from parsl_diaspora.hints import nearest
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.monitoring.placing.apps import has_staged_files

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.parking.parked import Entry, Parked
    from parsl_diaspora.monitoring.session import Session

ACTIONS = ("hold", "release", "retry", "fail", "migrate")
MOST_TOLD = 20
LATER = "has been launched: it is held if this try fails"
PAUSES = (0.0, 0.01, 0.02, 0.05, 0.1)  # seconds between looks at a task that the kernel is just moving
_NO_NEXT_TRY = ("fail", "cancel", "substitute", "hold")
_DONE = {
    "hold": "held",
    "release": "released",
    "retry": "released with fresh budgets",
    "fail": "failed",
    "migrate": "on its way",
}


class TaskOrders:
    """Carries out what is asked of tasks of one run.

    Args:
        session: of the run.
        parked: the tasks that are kept back.
    """

    def __init__(self, session: Session, parked: Parked) -> None:
        self._session = session
        self._parked = parked
        self._errands = Errands("diaspora-orders", lambda error: session.absorb("orders", error))
        self._next: dict[int, TaskActionAsked] = {}
        self._kernel: Any = None

    def know(self, dfk: Any) -> None:
        """Take note of the kernel whose tasks these are."""
        self._kernel = dfk

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, in the thread that met it."""
        if type(event) is TaskActionAsked and event.mac:  # without, the program itself is at it
            self._errands.run(lambda: self._answer(event))
        elif self._next and type(event) is DecisionMade:
            self._hold_before_next_try(event)

    def _answer(self, asked: TaskActionAsked) -> None:
        live = self._session.begin(asked.run)
        try:
            tasks, why = self.act(asked)
        except ConfigurationError as error:
            tasks, why = [], str(error)
        told = tuple(tasks[:MOST_TOLD])
        live.say(
            OrderAnswered(
                order=asked.order,
                accepted=bool(tasks),
                tasks=told,
                count=len(tasks),
                why=why,
                cause=(asked.id,),
            )
        )

    def act(self, asked: TaskActionAsked) -> tuple[list[int], str]:
        """Do what is asked.

        Returns:
            The tasks that it was done to, or will be done to, and in words what was done and what was not.

        Raises:
            ConfigurationError: no task is named, there is no such action, or no such executor.
        """
        dfk = self._kernel or kernel.loaded(asked.run)
        self._check(asked, dfk)
        done: list[int] = []
        later: list[int] = []
        problems: list[str] = []
        for task in self._meant(asked, dfk):
            if why := self._act_on(task, asked):
                problems.append(f"task {task['id']} {why}")
                later += [task["id"]] if why == LATER else []
            else:
                done.append(task["id"])
        if asked.task is not None and not done and not problems:
            problems.append(f"task {asked.task} has ended, or there is none")
        return done + later, _words(asked, done, problems)

    def _check(self, asked: TaskActionAsked, dfk: Any) -> None:
        if asked.action not in ACTIONS:
            raise ConfigurationError(f"Tasks cannot be asked to {asked.action!r}: {', '.join(ACTIONS)}.")
        if (asked.task is not None) + bool(asked.func) + bool(asked.failure_class) != 1:
            message = "Name a task, an app, or a failure class, and only one of them."
            raise ConfigurationError(message, hint="As in release(task=21).")
        if asked.action == "migrate" and (asked.task is None or not asked.to):
            raise ConfigurationError("Name the task that moves, and the executor that it goes to.")
        if asked.action != "migrate" and asked.to and (dfk is None or asked.to not in dfk.executors):
            hint = nearest(asked.to, dfk.executors) if dfk is not None else ""
            raise ConfigurationError(f"No executor is called {asked.to!r}.", hint=hint)

    def _meant(self, asked: TaskActionAsked, dfk: Any) -> list[Record]:
        if asked.task is not None:
            record = kernel.task_of(dfk, asked.task)
            return [] if record is None or record["app_fu"].done() else [record]
        if asked.action == "hold" and asked.func:
            waiting = [task for task in kernel.records(dfk) if task["func_name"] == asked.func]
            return [task for task in waiting if kernel.stage_of(task) == "waiting" and not self._held(task)]
        entries = [entry for entry in self._parked if asked.action == "hold" or entry.state == "held"]
        return [entry.task for entry in entries if _fits(entry, asked)]

    def _held(self, task: Record) -> bool:
        entry = self._parked.entry_of(task["id"])
        return entry is not None and entry.state == "held"

    # --- one task ---

    def _act_on(self, task: Record, asked: TaskActionAsked) -> str:
        """Do it; why not, or an empty text."""
        if asked.action == "hold":
            return self._hold(task, asked)
        if asked.action == "migrate":
            return self._migrate(task, asked)
        entry = self._parked.entry_of(task["id"])
        self._next.pop(task["id"], None)
        if entry is None:
            return "is not held: it waits for other tasks, is queued, or runs"
        if asked.to and asked.to != task["executor"] and has_staged_files(task):
            return f"has files staged for {task['executor']} and cannot go to {asked.to}"
        if asked.action == "fail":
            won = self._parked.fail(entry, asked.owner, reason=asked.reason, cause=_cause(asked))
        else:
            won = self._parked.release(
                entry, asked.action, asked.owner, to=asked.to, reason=asked.reason, cause=_cause(asked)
            )
        return "" if won else "was just released by somebody else"

    def _migrate(self, task: Record, asked: TaskActionAsked) -> str:
        try:
            self._session.checkpoints.migrations.begin(task, asked.to, asked.reason, asked.owner)
        except ConfigurationError as error:
            return f"does not move: {error}"
        return ""

    def _hold(self, task: Record, asked: TaskActionAsked) -> str:
        if self._held(task):
            return "is held already"
        never = threading.Event()
        for pause in PAUSES:
            self._session.clock.wait(never, pause)
            stage = kernel.stage_of(task)
            if stage == "ended":
                return "has ended"
            if stage == "waiting" and self._parked.hold_back(task, asked.reason, asked.owner, _cause(asked)):
                return ""
        if stage == "joining":
            return "waits for the tasks that it has started: hold those"
        self._next[task["id"]] = asked
        return LATER

    def _hold_before_next_try(self, event: DecisionMade) -> None:
        """A try of a task that is to be held has failed: in the retry handler, before the next one."""
        asked = self._next.pop(event.task if event.task is not None else -1, None)
        if asked is None or event.action in _NO_NEXT_TRY:
            return
        task = kernel.task_of(self._kernel or kernel.loaded(event.run), event.task or 0)
        if task is not None:
            self._parked.hold_in_handler(task, asked.reason, asked.owner, _cause(asked))

    def forget(self, task: Record) -> None:
        """A task has ended."""
        self._next.pop(task["id"], None)

    def close(self) -> None:
        """The run ends."""
        self._errands.close()


def _fits(entry: Entry, asked: TaskActionAsked) -> bool:
    if asked.func:
        return bool(entry.task["func_name"] == asked.func)
    return entry.failure_class == asked.failure_class


def _cause(asked: TaskActionAsked) -> tuple[str, ...]:
    return (asked.id,) if asked.seq else ()


def _words(asked: TaskActionAsked, done: list[int], problems: list[str]) -> str:
    if not done and not problems:
        return f"no task of {asked.func or asked.failure_class} can be {_DONE[asked.action].split()[0]}"
    told = [f"{_tasks(done)} {_DONE[asked.action]}"] if done else []
    more = len(problems) - MOST_TOLD
    rest = [f"and {more} more"] if more > 0 else []
    return "; ".join([*told, *problems[:MOST_TOLD], *rest])


def _tasks(numbers: list[int]) -> str:
    if len(numbers) > MOST_TOLD:
        return f"{len(numbers)} tasks"
    listed = ", ".join(str(number) for number in numbers)
    return f"task {listed}" if len(numbers) == 1 else f"tasks {listed}"
