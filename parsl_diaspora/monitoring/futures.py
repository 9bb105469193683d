"""From what an app returned to the task and the run that it is of."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from parsl.dataflow.futures import AppFuture

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer
from parsl_diaspora.monitoring.session import Session


def task_of(future: Future[Any], asker: str, hint: str) -> tuple[Record, Session]:
    """The record of a future's task, and the session of its run.

    Args:
        future: what an app of a resilient program returned.
        asker: who asks, as ``cancel()``, for errors.
        hint: what should have been given instead.

    Raises:
        ConfigurationError: it is of no app of a resilient program.
    """
    if not isinstance(future, AppFuture):
        raise ConfigurationError(f"{asker} takes a Parsl future, not a {type(future).__name__}.", hint=hint)
    record: Any = future.task_record
    memoizer = record["dfk"].memoizer
    if not isinstance(memoizer, LifecycleMemoizer):
        hint = "Load it with parsl.load(resilient(config))."
        raise ConfigurationError(f"{asker} needs a resilient configuration.", hint=hint)
    return record, memoizer.session
