"""From evidence to a diagnosis: what class of failure it is, and whether trying again is proven useless.

The class of an exception alone never condemns a task. Only what happened elsewhere does: the same failure
of the same task, with the same inputs, at two different places.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

import msgspec

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.failures.taxonomy import CLASSES
from parsl_diaspora.state import TaskState

DIFFERENT_PLACES = 2


class Finding(msgspec.Struct, frozen=True):
    """What one test of the evidence found."""

    failure_class: str
    confidence: float
    evidence: str
    missing: str = ""


Test = Callable[[Failure], "Finding | None"]


def diagnose(failure: Failure, task: TaskState | None = None, *, refuted: bool = False) -> Diagnosis:
    """Say why a try failed.

    Args:
        failure: the evidence of this try.
        task: the task's earlier tries, this one included.
        refuted: the same failure of the same app was once overcome by trying again, so it proves nothing.

    Example:
        >>> diagnose(Failure(chain=("builtins.MemoryError",))).failure_class
        'memory'
    """
    finding = next((found for test in _TESTS if (found := test(failure)) is not None), _UNKNOWN)
    evidence = [finding.evidence]
    destined = False
    if task is not None and not refuted and not CLASSES[finding.failure_class].infrastructure:
        places = _places_of_same_failure(failure, task)
        destined = len(places) >= DIFFERENT_PLACES
        if destined:
            evidence.append(
                f"the same failure with the same inputs at {len(places)} places: {', '.join(places)}"
            )
    return Diagnosis(
        failure_class=finding.failure_class,
        layer=CLASSES[finding.failure_class].layer,
        confidence=finding.confidence,
        evidence=tuple(evidence),
        destined=destined,
        missing=finding.missing,
    )


def _places_of_same_failure(failure: Failure, task: TaskState) -> list[str]:
    if not failure.frame:  # without the user's frame two failures cannot be told to be the same one
        return []
    same = {each.place for each in task.tries if each.fingerprint == failure.fingerprint and each.place}
    return sorted(same)


def _is(failure: Failure, *names: str) -> bool:
    return any(name in failure.chain for name in names)


def _cancelled(failure: Failure) -> Finding | None:
    if _is(failure, "parsl_diaspora.errors.TaskCancelled"):
        return Finding("cancelled", 1.0, "somebody asked that the task be stopped")
    return None


def _dependency(failure: Failure) -> Finding | None:
    if _is(failure, "parsl.dataflow.errors.DependencyError", "parsl.dataflow.errors.JoinError"):
        return Finding("dependency", 1.0, "Parsl reports a failed dependency")
    return None


def _manager_lost(failure: Failure) -> Finding | None:
    if _is(failure, "parsl.executors.high_throughput.errors.ManagerLost"):
        return Finding("manager_lost", 0.95, "the interchange missed the manager's heartbeats")
    return None


def _worker_died(failure: Failure) -> Finding | None:
    """How a worker ended, as the supervisor of its node has told."""
    if not _is(failure, "parsl_diaspora.executors.errors.WorkerDied") or failure.exit_code is None:
        return None
    code = failure.exit_code
    if code >= 0:
        return Finding("worker_lost", 0.9, f"the worker left under the task with exit code {code}")
    name = _signal_name(-code)
    if failure.out_of_memory and name == "SIGKILL":
        return Finding("memory", 0.9, "SIGKILL ended the worker while memory had run out there")
    if name in _CRASHES:
        return Finding("crash", 0.9, f"{name} ended the worker: code that it ran has crashed")
    return Finding("worker_lost", 0.95, f"{name} ended the worker, and memory had not run out there")


def _never_started(failure: Failure) -> Finding | None:
    if _is(failure, "parsl_diaspora.executors.errors.NeverStarted"):
        return Finding("worker_lost", 0.8, "the manager held the task, but later ones were started before it")
    return None


def _worker_lost(failure: Failure) -> Finding | None:
    if _is(failure, "parsl.executors.high_throughput.errors.WorkerLost"):
        return Finding("worker_lost", 0.95, "the manager found its worker dead while the task was on it")
    return None


def _executor_lost(failure: Failure) -> Finding | None:
    names = (
        "parsl.executors.errors.BadStateException",
        "parsl.jobs.errors.TooManyJobFailuresError",
        "parsl_diaspora.executors.errors.InterchangeLost",
        "parsl_diaspora.executors.errors.NoBlocks",
    )
    return Finding("executor_lost", 0.95, "the executor is lost as a whole") if _is(failure, *names) else None


def _unreadable(failure: Failure) -> Finding | None:
    if failure.phase == "pack" or _is(failure, "parsl_diaspora.errors.ResultUnreadable"):
        return Finding("unreadable", 0.9, "the result cannot be serialized or rebuilt")
    return None


def _runner(failure: Failure) -> Finding | None:
    if _is(failure, "parsl_diaspora.executors.errors.RunnerUnusable"):
        return Finding("environment", 1.0, "the worker could not run our part of the try", missing=_OURS)
    return None


def _environment(failure: Failure) -> Finding | None:
    if not _is(failure, "builtins.ModuleNotFoundError"):
        return None
    where = "while function and arguments were rebuilt" if failure.phase == "unpack" else "inside the app"
    module = failure.name or "a module"
    return Finding("environment", 0.8, f"the worker could not import {module!r} {where}", missing=module)


def _memory(failure: Failure) -> Finding | None:
    if _is(failure, "builtins.MemoryError"):
        return Finding("memory", 0.9, "the worker raised MemoryError")
    return None


def _walltime(failure: Failure) -> Finding | None:
    return (
        Finding("walltime", 0.95, "Parsl ended the app at its walltime") if _is(failure, _TIMEOUT) else None
    )


def _exited(failure: Failure) -> Finding | None:
    if not _is(failure, "parsl_diaspora.errors.TaskExited", "builtins.SystemExit"):
        return None
    return Finding("exited", 0.95, f"the app called sys.exit(); its exit code is {failure.exit_code}")


def _interrupted(failure: Failure) -> Finding | None:
    names = "parsl_diaspora.errors.TaskInterrupted", "builtins.KeyboardInterrupt"
    return Finding("interrupted", 0.9, "an interrupt ended the task") if _is(failure, *names) else None


def _stopped(failure: Failure) -> Finding | None:
    if _is(failure, "parsl_diaspora.errors.TaskStopped"):
        return Finding("stopped", 1.0, "the worker gave way to an order to stop")
    return None


def _signalled(failure: Failure) -> Finding | None:
    """Of what it ran, a shell says 128 and the signal's number; of the shell itself, Parsl says minus it."""
    if failure.exit_code is None or not _is(failure, *_PROGRAMS):
        return None
    number = -failure.exit_code if failure.exit_code < 0 else failure.exit_code - _SHELL
    try:
        name = signal.Signals(number).name
    except ValueError:
        return None
    return Finding("signalled", 0.85, f"a program of the app was ended by {name}")


def _submission(failure: Failure) -> Finding | None:
    if failure.phase == "launch":
        return Finding("submission", 0.9, "the task never left the submit side")
    return None


def _application(failure: Failure) -> Finding | None:
    if failure.phase != "lost" and _is(failure, "builtins.Exception"):
        return Finding("application", 0.7, f"the app raised {failure.type.rpartition('.')[2]}")
    return None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_OURS = "parsl_diaspora"
_PROGRAMS = "parsl.app.errors.BashExitFailure", "subprocess.CalledProcessError"
_SHELL = 128
#: Signals that a process brings upon itself.
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGSYS", "SIGTRAP"})
_TIMEOUT = "parsl.app.errors.AppTimeout"
_UNKNOWN = Finding("unknown", 0.0, "no rule of this release explains it")
_TESTS: tuple[Test, ...] = (
    _cancelled,
    _dependency,
    _manager_lost,
    _worker_died,
    _never_started,
    _worker_lost,
    _executor_lost,
    _submission,
    _unreadable,
    _runner,
    _environment,
    _memory,
    _walltime,
    _stopped,
    _exited,
    _interrupted,
    _signalled,
    _application,
)
