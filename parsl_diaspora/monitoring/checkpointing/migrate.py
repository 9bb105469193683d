"""``migrate(future, to=...)``: a running task goes on at another executor."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from parsl_diaspora.monitoring.futures import task_of

OWNER = "the program"


def migrate(
    future: Future[Any], to: str, reason: str = "", *, force_after: float | None = None
) -> Future[bool]:
    """Move a running task to another executor while it runs.

    Its state is copied there in rounds while it goes on. When little enough is left, it saves once more and
    leaves its place, and its successor goes on there. If the successor cannot begin, or is lost, the task
    goes on where it is. What an app does before it calls `restore` may happen at both places.

    Args:
        future: what an app with checkpoints returned.
        to: label of the executor.
        reason: in words; it stands in the log and in reports.
        force_after: seconds that the task has to save once more and leave, when all else is ready; then it is
            stopped, and goes on from the newest state there is. None, and it goes on where it is if it does
            not come to save within a minute.

    Returns:
        A future: whether the task runs there now. It does not if it has ended meanwhile, or goes on where
        it was.

    Raises:
        ConfigurationError: ``future`` is of no app of a resilient program, the task does not run, has saved
            no state yet, is there already, or no executor of that name takes orders.

    Example:
        >>> def drain_by_hand(futures):
        ...     arrived = [migrate(each, to="cluster-b", reason="maintenance at 18:00") for each in futures]
        ...     return all(each.result() for each in arrived)
    """
    record, session = task_of(future, "migrate()", "Give what an app returned.")
    return session.checkpoints.migrations.begin(record, to, reason, OWNER, force_after=force_after)
