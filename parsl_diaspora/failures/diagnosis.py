"""From evidence to a diagnosis: what class of failure it is, and whether trying again is proven useless.

The class of an exception alone never condemns a task. Only what happened elsewhere does: the same failure
of the same task, with the same inputs, at two different places.
"""

from __future__ import annotations

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


def _worker_lost(failure: Failure) -> Finding | None:
    if _is(failure, "parsl.executors.high_throughput.errors.WorkerLost"):
        return Finding("worker_lost", 0.95, "the manager found its worker dead while the task was on it")
    return None


def _executor_lost(failure: Failure) -> Finding | None:
    names = (
        "parsl.executors.errors.BadStateException",
        "parsl.jobs.errors.TooManyJobFailuresError",
        "parsl_diaspora.executors.errors.InterchangeLost",
    )
    return Finding("executor_lost", 0.95, "the executor is in a bad state") if _is(failure, *names) else None


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


def _submission(failure: Failure) -> Finding | None:
    if failure.phase == "launch":
        return Finding("submission", 0.9, "the task never left the submit side")
    return None


def _application(failure: Failure) -> Finding | None:
    if failure.phase != "lost" and _is(failure, "builtins.Exception"):
        return Finding("application", 0.7, f"the app raised {failure.type.rpartition('.')[2]}")
    return None


_OURS = "parsl_diaspora"
_TIMEOUT = "parsl.app.errors.AppTimeout"
_UNKNOWN = Finding("unknown", 0.0, "no rule of this release explains it")
_TESTS: tuple[Test, ...] = (
    _cancelled,
    _dependency,
    _manager_lost,
    _worker_lost,
    _executor_lost,
    _submission,
    _unreadable,
    _runner,
    _environment,
    _memory,
    _walltime,
    _application,
)
