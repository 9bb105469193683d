"""``current_task()``: what a running app may know of itself."""

from __future__ import annotations

import msgspec

from parsl_diaspora.errors import NotInTask


class TaskContext(msgspec.Struct, frozen=True):
    """The try that this process is running.

    Attributes:
        run: Parsl's run id.
        task: Parsl's task id.
        attempt: number of the try, from 0. A later attempt may overlap an earlier one whose node is only
            cut off: use it as a fencing token when writing to shared places.
        executor: label.
        block: block id.
        manager: manager id.
        node: host name.
    """

    run: str
    task: int
    attempt: int
    executor: str
    block: str
    manager: str
    node: str


_current: TaskContext | None = None


def current_task() -> TaskContext:
    """The task that this process is running.

    Raises:
        NotInTask: this process runs no task of a resilient program.

    Example:
        >>> try:
        ...     current_task()
        ... except NotInTask:
        ...     print("not inside a task")
        not inside a task
    """
    if _current is None:
        hint = "It works inside apps that a resilient HighThroughputExecutor runs."
        raise NotInTask("This process is not running a task.", hint=hint)
    return _current


def set_current(context: TaskContext | None) -> None:
    """Set by the runner around a try."""
    global _current  # noqa: PLW0603 - a worker runs one try at a time, in its main thread
    _current = context
