"""``cancel(future)``: stop a task, wherever it is."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from parsl.app.futures import DataFuture

from parsl_diaspora.monitoring.cancelling.cancels import Cancelled
from parsl_diaspora.monitoring.futures import task_of

__all__ = ["Cancelled", "cancel"]

OWNER = "the program"


def cancel(future: Future[Any], reason: str = "") -> Cancelled:
    """Stop a task, wherever it is: its future ends with `TaskCancelled` within a second.

    A task that waits for others, or for its next try, is withdrawn. One that is queued at an executor is
    stopped as soon as a worker begins it; one that runs is stopped where it runs: first it is asked to give
    way, then its worker is ended, with all that it has started. A join app ends together with the tasks that
    its body has returned. A cancelled task is never tried again, and tasks that depend on it fail as they do
    for any failure. What it depends on goes on, and so do tasks that bring in or take away its files.

    It may be called from any thread, and more than once; it waits a fraction of a second at most.

    Args:
        future: what an app of a resilient program returned, or one of its ``outputs``.
        reason: in words; it stands in the exception, in the log and in reports.

    Returns:
        What was done; false if the task had ended already. Threads cannot be stopped, nor can workers
        without a supervisor: ``LEFT_RUNNING`` says that a worker stays busy although the future has ended.

    Raises:
        ConfigurationError: ``future`` is of no app of a resilient program.

    Example:
        >>> import parsl
        >>> from concurrent.futures import Future
        >>> from parsl_diaspora import resilient
        >>> config = resilient(parsl.Config(executors=[parsl.ThreadPoolExecutor()]), fabric="memory:")
        >>> with parsl.load(config):
        ...     later = Future()
        ...     doubled = parsl.python_app(lambda number: 2 * number)(later)
        ...     print(cancel(doubled, "no longer needed").value)
        ...     print(doubled.exception().reason)
        withdrawn
        no longer needed
    """
    if isinstance(future, DataFuture) and isinstance(future.parent, Future):
        return cancel(future.parent, reason)
    record, session = task_of(future, "cancel()", "Give what an app returned, or one of its outputs.")
    return session.cancels.cancel(record, reason, OWNER)
