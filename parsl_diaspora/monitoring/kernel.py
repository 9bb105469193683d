"""The seam in Parsl's kernel through which a task is ended from outside, whatever it is doing.

All private names of the kernel that cancelling rests on stand here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Literal

from parsl.dataflow.dflow import DataFlowKernel, DataFlowKernelLoader
from parsl.dataflow.states import FINAL_STATES, States
from parsl.executors import ThreadPoolExecutor

from parsl_diaspora.executors.pool.face import executor_behind

LOCK_SECONDS = 0.05

#: A Parsl task record.
Record = dict[str, Any]


class Gate(Future[None]):
    """Something that a task waits for besides what its author gave it."""


#: Where a task is: not launched, with an executor, waiting for inner tasks, between two of these, or ended.
Stage = Literal["waiting", "launched", "joining", "moving", "ended"]


def stage_of(task: Record) -> Stage:
    """Where a task is now, in one consistent look.

    ``moving`` says that the kernel is busy with it at this moment: look again soon.
    """
    if task["app_fu"].done():
        return "ended"
    if not task["task_launch_lock"].acquire(timeout=LOCK_SECONDS):  # the kernel is packing its arguments
        return "moving"
    try:
        return _stage(task)
    finally:
        task["task_launch_lock"].release()


def _stage(task: Record) -> Stage:
    status, future = task["status"], task["exec_fu"]
    if status == States.pending:  # a memoizer may have answered with a future that it has still to complete
        return "launched" if future is not None and not future.done() else "waiting"
    if status == States.joining:
        return "joining"
    if status == States.launched:  # without a future the launch, and with a done one the end, is under way
        return "launched" if future is not None and not future.done() else "moving"
    return "ended" if status in FINAL_STATES else "moving"  # as between two tries


def detach(task: Record) -> Future[Any] | None:
    """Let the kernel hear no more of a launched try's end, which goes on; None if that end has come already.

    Completing the future instead would end threads of executors that complete it once more.
    """
    future: Future[Any] = task["exec_fu"]
    with future._condition:
        if future.done():
            return None
        callbacks = future._done_callbacks  # type: ignore[attr-defined]
        callbacks[:] = [each for each in callbacks if not _is_kernels(each, task)]
    return future


def _is_kernels(callback: Callable[..., Any], task: Record) -> bool:
    method = getattr(getattr(callback, "func", None), "__func__", None)
    arguments: Any = getattr(callback, "args", ())
    return method is DataFlowKernel.handle_exec_update and bool(arguments) and arguments[0] is task


def end_task(task: Record, error: Exception) -> None:
    """End a task that nothing else will end, as the kernel ends one that failed for good."""
    task["fail_history"].append(repr(error))
    task["fail_count"] += 1
    if task["try_time_launched"] is not None:
        task["try_time_returned"] = datetime.now()  # noqa: DTZ005 - the kernel's own times have no zone, either
    task["dfk"]._complete_task_exception(task, States.failed, error)


def park(task: Record) -> Gate:
    """Keep back a task that the calling thread is about to make pending; what is returned lets it go on."""
    gate = Gate()
    task["depends"] = [*(each for each in task["depends"] if not isinstance(each, Gate)), gate]
    gate.add_done_callback(lambda _: task["dfk"].launch_if_ready(task))
    return gate


def park_waiting(task: Record) -> Gate | None:
    """Keep back a task that has not been launched; None if it has, or if the kernel is busy with it."""
    if not task["task_launch_lock"].acquire(timeout=LOCK_SECONDS):
        return None
    try:
        return park(task) if _stage(task) == "waiting" else None
    finally:
        task["task_launch_lock"].release()


def settle(kernel: Any, timeout: float) -> None:
    """Let the kernel end what depends on tasks that have just ended: it does so in a thread of its own.

    Args:
        kernel: Parsl's.
        timeout: seconds for each generation of dependents.
    """
    pool, counts = kernel._task_launch_pool, kernel.task_state_counts
    before = None
    while before != (before := counts[States.pending]):
        pool.submit(lambda: None).result(timeout)


def records(kernel: Any) -> list[Record]:
    """All tasks that have not ended."""
    return list(kernel.tasks.values()) if kernel is not None else []


def inner_futures(task: Record) -> list[Future[Any]]:
    """What a join app waits for."""
    return futures_in(task["joins"])


def futures_in(returned: Any) -> list[Future[Any]]:
    """The futures that the body of a join app has returned."""
    many = returned if isinstance(returned, list) else [returned]
    return [each for each in many if isinstance(each, Future)]


def take_back(task: Record, future: Future[Any]) -> bool:
    """Take a detached try off a pool of threads; False if it has begun, or is with another kind of executor.

    No other executor of Parsl bears the cancelling of a future that it holds.
    """
    executor = executor_of(task["dfk"], task["executor"])
    return isinstance(executor, ThreadPoolExecutor) and future.cancel()


def loaded(run: str) -> Any:
    """The kernel of a run, if it is the one that the program has loaded."""
    kernel = DataFlowKernelLoader._dfk
    return kernel if kernel is not None and kernel.run_id == run else None


def executor_of(kernel: Any, label: str | None) -> Any:
    """The executor of a label, also behind the face of a pool's member; None for none."""
    return executor_behind(kernel.executors.get(label))


def is_usable(kernel: Any, label: str) -> bool:
    """Whether an executor still takes tasks."""
    executor = kernel.executors.get(label)
    if executor is None or getattr(executor, "bad_state_is_set", False):
        return False
    return not getattr(executor, "is_without_blocks", False)


def task_of(kernel: Any, number: int) -> Record | None:
    """The record of a task that has not ended."""
    record: Record | None = kernel.tasks.get(number) if kernel is not None else None
    return record
