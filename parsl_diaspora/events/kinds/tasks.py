"""Runs, their tasks, and the tries of these."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic
from parsl_diaspora.events.kinds.values import Failure


class RunStarted(Event, tag="run.started"):
    """A program loaded a resilient configuration.

    Attributes:
        program: the script's file name.
        pid: process id of the submit side.
        run_dir: Parsl's run directory, absolute.
        executors: labels, in the configuration's order.
        parsl_version: version of Parsl.
        python_version: version of Python.
        retries: ``Config.retries``.
        settings: the settings in force.
    """

    topic: ClassVar[Topic] = "control"

    program: str = ""
    pid: int = 0
    run_dir: str = ""
    executors: tuple[str, ...] = ()
    parsl_version: str = ""
    python_version: str = ""
    retries: int = 0
    settings: dict[str, Any] = msgspec.field(default_factory=dict)


class RunEnded(Event, tag="run.ended"):
    """The program closed its configuration.

    Attributes:
        done: tasks that succeeded.
        failed: tasks that failed.
        cancelled: tasks that somebody asked to be stopped.
        faults: own faults that were absorbed, by part.
    """

    topic: ClassVar[Topic] = "control"

    done: int = 0
    failed: int = 0
    cancelled: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=dict)


class TaskSubmitted(Event, tag="task.submitted"):
    """A task became ready and its first try was handed to an executor.

    Attributes:
        func: name of the app.
        placed: why at this one of a pool's executors, in words; empty where there was no pool.
    """

    func: str = ""
    placed: str = ""


class TryLaunched(Event, tag="task.try_launched"):
    """A further try was handed to an executor.

    Attributes:
        avoid: managers that decline this try.
        placed: why at this one of a pool's executors, in words; empty where there was no pool.
    """

    avoid: tuple[str, ...] = ()
    placed: str = ""


class TryStarted(Event, tag="task.try_started"):
    """A worker began to run a try. Said by the worker, before it touches function or arguments.

    Attributes:
        pid: the worker's process id on its node.
        manager_pid: that of its manager.
    """

    pid: int = 0
    manager_pid: int = 0


class TryDeclined(Event, tag="task.try_declined"):
    """A worker handed a try back before it began, because the try should avoid that place.

    Attributes:
        count: how often this try has been handed back.
    """

    count: int = 1


class TaskProgressed(Event, tag="task.progressed"):
    """A running task told how far it is.

    Attributes:
        part: of the whole that is done, 0 to 1; None if it cannot tell.
        note: in words.
    """

    part: float | None = None
    note: str = ""


class TaskCancelAsked(Event, tag="task.cancel_asked"):
    """Somebody asked that a task be stopped.

    Attributes:
        reason: in words.
        owner: who asked.
        order: number of the order, which is used only once; empty if the program itself says it.
        mac: proves that who asked has the run's key.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    owner: str = ""
    order: str = ""
    mac: str = ""


class TryStopped(Event, tag="task.try_stopped"):
    """A try that was to be stopped no longer runs.

    Attributes:
        pid: of its worker.
        how: ``signal`` if the task itself gave way, ``kill`` if its worker had to be ended, ``end`` if it ran
            on to its own end.
        reason: in words.
        seconds: from the order to the end.
    """

    pid: int = 0
    how: str = "signal"
    reason: str = ""
    seconds: float = 0.0


class TryEnded(Event, tag="task.try_ended"):
    """A try succeeded.

    Attributes:
        seconds: wall time on the worker; None where no worker of ours told it.
        memory: most resident bytes of the worker's process during the try; None where that is not known.
        cpu: seconds of a core that the worker and children that it waited for used; None for less than the
            kernel's 10 ms, or where that is not known.
    """

    seconds: float | None = None
    memory: int | None = None
    cpu: float | None = None


class TryFailed(Event, tag="task.try_failed"):
    """A try failed or was lost.

    Attributes:
        failure: the exception as evidence.
        seconds: wall time on the worker, when the worker lived to tell.
        memory: most resident bytes of the worker's process during the try, where that is known.
        cpu: seconds of a core that the worker and children that it waited for used, where that is known.
    """

    topic: ClassVar[Topic] = "failures"

    failure: Failure = Failure()
    seconds: float | None = None
    memory: int | None = None
    cpu: float | None = None


class TaskEnded(Event, tag="task.ended"):
    """A task reached its one end.

    Attributes:
        outcome: ``done``, ``failed``, ``dependency_failed``, ``memoized``, ``substituted`` or
            ``cancelled``.
        tries: how many tries were launched.
        error: class and text of the exception that the program sees.
        func: name of the app, for tasks that were never submitted: memoized, or with a failed dependency.
        root: for a failed dependency, the task whose failure is the root cause.
    """

    outcome: str = "done"
    tries: int = 1
    error: str = ""
    func: str = ""
    root: int | None = None
