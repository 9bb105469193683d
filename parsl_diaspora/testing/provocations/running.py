"""Provocations as tasks of a Parsl program that is loaded, and what the log has of them."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
from parsl import bash_app, python_app

from parsl_diaspora.events import DecisionMade, Event, Failure, TryFailed
from parsl_diaspora.testing.provocations.provocation import Provocation


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one provocation, as it stands in the log.

    Attributes:
        provocation: which one.
        failure: the evidence of its first try; of a later one if only that tells how the worker ended.
        decision: what was decided then, and why.
    """

    provocation: Provocation
    failure: Failure
    decision: DecisionMade


def start(provocation: Provocation, directory: Path) -> Future[Any]:
    """Submit a provocation to the Parsl program that is loaded.

    Args:
        provocation: which one.
        directory: an empty directory of its own is made in here.
    """
    scratch = directory / provocation.name
    scratch.mkdir(parents=True)
    arguments: list[Any] = [str(scratch)]
    if provocation.argument is not None:
        arguments.append(provocation.argument())
    options: dict[str, Any] = {}
    if provocation.walltime is not None:
        options["walltime"] = provocation.walltime
    if provocation.specification is not None:
        options["parsl_resource_specification"] = provocation.specification
    if provocation.bash:
        options["stderr"] = str(scratch / "stderr")
    decorate = bash_app if provocation.bash else python_app
    future: Future[Any] = decorate(provocation.function)(*arguments, **options)
    return future


def outcomes(events: Iterable[Event], tasks: dict[int, Provocation]) -> list[Outcome]:
    """What came of provocations.

    Args:
        events: of the run's log.
        tasks: provocations by the numbers of their tasks.
    """
    failed: dict[str, TryFailed] = {}
    found: dict[int, Outcome] = {}
    for event in events:
        if isinstance(event, TryFailed):
            failed[event.id] = event
        elif isinstance(event, DecisionMade) and event.task in tasks:
            cause = next((failed[name] for name in event.cause if name in failed), None)
            if cause is not None and _says_more(cause.failure, found.get(event.task)):
                found[event.task] = Outcome(
                    provocation=tasks[event.task], failure=cause.failure, decision=event
                )
    return [found[task] for task in sorted(found)]


def _says_more(failure: Failure, before: Outcome | None) -> bool:
    """A manager may tell that its worker is dead before the supervisor tells what it died of."""
    if before is None:
        return True
    return before.provocation.deadly and before.failure.exit_code is None and failure.exit_code is not None
