"""``current_task()``: what a running app may know of itself, and tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from parsl_diaspora.errors import NotInTask

if TYPE_CHECKING:
    from parsl_diaspora.executors.launch import Launch, Report
    from parsl_diaspora.executors.supervision.board import Slot
    from parsl_diaspora.monitoring.worker.checkpoints import TaskCheckpoints
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

    @property
    def deadline(self) -> float | None:
        """When the block that the task runs in ends, seconds UTC; None if nobody has told."""
        from parsl_diaspora.monitoring.worker.place import block_ends

        return block_ends()

    def progress(self, done: float | None = None, total: float | None = None, note: str = "") -> None:
        """Tell how far the task is. It may be called as often as is convenient: once a second is told.

        Args:
            done: part of the whole, 0 to 1; with `total`, that many of them. None if that is not known.
            total: of which `done` are done.
            note: in words.

        Raises:
            NotInTask: this process does not run that try now.
            ValueError: more than all, or less than nothing, is done.

        Example:
            >>> def simulate(steps):
            ...     for step in range(steps):
            ...         current_task().progress(step, steps, note=f"step {step}")
        """
        part = done if done is None or total is None else done / total
        if part is not None and not 0 <= part <= 1:
            of = "" if total is None else f" of {total}"
            message = f"The part that is done lies between 0 and 1, or {total}; {done}{of} does not."
            raise ValueError(message.replace(", or None", ""))
        _progress_of(self).tell(part, str(note))

    def restore(self, default: Any = None) -> Any:
        """The newest state that an earlier try of this task saved, or an earlier run of the same program.

        Args:
            default: what the task begins with if there is none. Arrays that it has in common with the
                saved state must have the same shape and type of elements.

        Returns:
            What was given to `save`: for a mapping, a mapping with new arrays that may be changed.
            `default` where the app has no checkpoints.

        Raises:
            NotInTask: this process does not run that try now.
            StateChanged: the saved state does not fit the program any more.
        """
        checkpoints = _checkpoints_of(self)
        return default if checkpoints is None else checkpoints.restore(default)

    def save(self, state: Any) -> bool:
        """Save the task's state, to go on from there if the task is lost.

        The task is stopped for a copy in memory; a thread writes it behind. If the task must leave its
        place, this saves the state and then ends the try: it does not return.

        Args:
            state: a mapping from names to numpy arrays, torch tensors, `StateFile`, or anything that can be
                pickled; or one such value alone. Only what has changed since the last time is written.

        Returns:
            Whether it was taken. It is not while the save before is still being written, or where the app
            has no checkpoints.

        Raises:
            NotInTask: this process does not run that try now.
            StateNotSavable: a part of it cannot be pickled.
        """
        checkpoints = _checkpoints_of(self)
        return False if checkpoints is None else checkpoints.save(state)

    def should_checkpoint(self) -> bool:
        """Whether it is time to save. It takes a microsecond: ask in each step.

        Raises:
            NotInTask: this process does not run that try now.

        Example:
            >>> def relax(field, steps):
            ...     task = current_task()
            ...     state = task.restore({"step": 0, "field": field})
            ...     while state["step"] < steps:
            ...         state["field"] = 0.5 * (state["field"] + state["field"].T)
            ...         state["step"] += 1
            ...         if task.should_checkpoint():
            ...             task.save(state)
            ...     return state["field"]
        """
        checkpoints = _checkpoints_of(self)
        return checkpoints is not None and checkpoints.should_checkpoint()

    def should_exit(self) -> bool:
        """Whether the task must leave its place: the next `save` ends the try, which goes on elsewhere.

        Raises:
            NotInTask: this process does not run that try now.
        """
        checkpoints = _checkpoints_of(self)
        return checkpoints is not None and checkpoints.should_exit()


class _Current:
    """The try that runs now. What an app may know of it is put together when it asks."""

    __slots__ = ("checkpoints", "context", "launch", "progress", "report", "slot")

    def __init__(self, launch: Launch, report: Report, slot: Slot | None) -> None:
        self.launch = launch
        self.report = report
        self.slot = slot
        self.checkpoints: TaskCheckpoints | Literal[False] | None = None
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


def _checkpoints_of(context: TaskContext) -> TaskCheckpoints | None:
    current = _current
    if current is None or current_task() != context:
        message = "This process does not run that try of the task."
        raise NotInTask(message, hint=_HINT)
    if current.checkpoints is None:
        from parsl_diaspora.monitoring.worker.checkpoints import checkpoints_of

        current.checkpoints = checkpoints_of(current.launch, current.report, current.slot) or False
    return current.checkpoints or None


def own_checkpoints() -> TaskCheckpoints | None:
    """What the try that runs now does with states; None if it saves none."""
    return _checkpoints_of(current_task())


def waits_for_predecessor() -> bool:
    """Whether this try succeeds one that still runs, and has not taken over from it."""
    current = _current
    if current is None or current.launch.checkpoint is None or not current.launch.checkpoint.follows:
        return False
    return not current.checkpoints or current.checkpoints.is_waiting


def begin_task(launch: Launch, report: Report, slot: Slot | None = None) -> None:
    """The runner begins a try, on the worker with that place on the board."""
    global _current  # noqa: PLW0603 - a worker runs one try at a time, in its main thread
    _current = _Current(launch, report, slot)


def end_task(*, done: bool = False, stopped: bool = False) -> None:
    """The runner has ended the try, which has a result or not, or was made to stop."""
    global _current
    ended, _current = _current, None
    if ended is not None and ended.progress is not None:
        ended.progress.close()
    if ended is not None and ended.checkpoints:
        ended.checkpoints.close(done=done, stopped=stopped)
