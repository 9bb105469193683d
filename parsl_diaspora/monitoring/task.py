"""``current_task()``: what a running app may know of itself, and tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from parsl_diaspora.errors import NotInTask

if TYPE_CHECKING:
    from parsl_diaspora.executors.launch import Launch, Report
    from parsl_diaspora.monitoring.worker.speaking import Progress

_HINT = "It works inside apps that a resilient HighThroughputExecutor runs."


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

    def progress(self, part: float | None = None, note: str = "") -> None:
        """Tell how far the task is. It may be called as often as is convenient: once a second is told.

        Args:
            part: of the whole that is done, 0 to 1; None if that is not known.
            note: in words.

        Raises:
            NotInTask: this process does not run that try now.
            ValueError: the part is not between 0 and 1.

        Example:
            >>> def simulate(steps):
            ...     for step in range(steps):
            ...         current_task().progress(step / steps, f"step {step}")
        """
        if part is not None and not 0 <= part <= 1:
            message = f"The part that is done lies between 0 and 1; {part} does not."
            raise ValueError(message)
        _progress_of(self).tell(part, str(note))


class _Current:
    """The try that runs now. What an app may know of it is put together when it asks."""

    __slots__ = ("context", "launch", "progress", "report")

    def __init__(self, launch: Launch, report: Report) -> None:
        self.launch = launch
        self.report = report
        self.context: TaskContext | None = None
        self.progress: Progress | None = None


_current: _Current | None = None


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
    current = _current
    if current is None:
        message = "This process is not running a task."
        raise NotInTask(message, hint=_HINT)
    if current.context is None:
        launch, report = current.launch, current.report
        current.context = TaskContext(
            run=launch.run,
            task=launch.task,
            attempt=launch.try_id,
            executor=launch.executor,
            block=report.block,
            manager=report.manager,
            node=report.node,
        )
    return current.context


def _progress_of(context: TaskContext) -> Progress:
    current = _current
    if current is None or current_task() != context:
        message = "This process does not run that try of the task."
        raise NotInTask(message, hint=_HINT)
    if current.progress is None:
        from parsl_diaspora.monitoring.worker.speaking import Progress

        current.progress = Progress(current.launch, current.report)
    return current.progress


def begin_task(launch: Launch, report: Report) -> None:
    """The runner begins a try."""
    global _current  # noqa: PLW0603 - a worker runs one try at a time, in its main thread
    _current = _Current(launch, report)


def end_task() -> None:
    """The runner has ended the try."""
    global _current
    ended, _current = _current, None
    if ended is not None and ended.progress is not None:
        ended.progress.close()
