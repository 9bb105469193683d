"""Ending a run of Parsl in bounded time, whatever state it is in."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from parsl_diaspora.testing.processes import find, sweep

if TYPE_CHECKING:
    import subprocess

    from parsl.dataflow.dflow import DataFlowKernel

logger = logging.getLogger(__name__)

POLL = 0.05  # seconds
GRACE = 3.0  # seconds that asked processes have to end by themselves


class Shutdown(msgspec.Struct, frozen=True, kw_only=True):
    """How a run of Parsl ended.

    Attributes:
        finished: whether Parsl's own clean-up came to its end.
        seconds: how long that took, or how long it was waited for.
        left: how many processes of the run were still there afterwards, and had to be ended by us.
    """

    finished: bool
    seconds: float
    left: int


def shut_down(kernel: DataFlowKernel, mark: str, timeout: float = 15.0) -> Shutdown:
    """End a run of Parsl in bounded time, whatever state it is in; afterwards another can be loaded.

    Parsl's own clean-up waits for ever on an interchange that is dead. So it gets a thread and a time; then
    all that carries the mark is ended, and the interchanges with it.

    Args:
        kernel: what ``parsl.load`` returned.
        mark: token of the run; not empty.
        timeout: seconds that Parsl's clean-up may take.
    """
    began, ended = time.monotonic(), threading.Event()
    interchanges = _interchanges(kernel)
    threading.Thread(target=_clean_up, args=(kernel, ended), name="parsl-cleanup", daemon=True).start()
    finished = ended.wait(timeout)
    seconds = time.monotonic() - began
    if finished:
        _await_end(mark, GRACE)
    left = sweep(mark, extra=[process.pid for process in interchanges])
    for process in interchanges:
        process.poll()  # else it stays as a zombie for as long as this program runs
    if not finished:
        _forget(kernel)
    return Shutdown(finished=finished, seconds=seconds, left=left)


def _clean_up(kernel: DataFlowKernel, ended: threading.Event) -> None:
    try:
        kernel.cleanup()
    except Exception:
        logger.exception("Parsl's clean-up failed.")
    finally:
        ended.set()


def _await_end(mark: str, timeout: float) -> None:
    """Give processes that were asked to end the time to do so: only what stays was left behind."""
    until = time.monotonic() + timeout
    while find(mark) and time.monotonic() < until:
        time.sleep(POLL)


def _interchanges(kernel: DataFlowKernel) -> list[subprocess.Popen[bytes]]:
    executors: list[object] = list(kernel.executors.values())
    for pool in list(executors):  # what a pool of executors has in its seats
        executors += [seat.executor for seat in getattr(pool, "seats", {}).values()]
    started = (getattr(executor, "interchange_proc", None) for executor in executors)
    return [process for process in started if process is not None]


def _forget(kernel: DataFlowKernel) -> None:
    """What an unfinished clean-up has not come to: the loader and the exit hook let go of the kernel."""
    import parsl
    from parsl.dataflow.dflow import DataFlowKernelLoader

    atexit.unregister(kernel.atexit_cleanup)
    if DataFlowKernelLoader._dfk is kernel:
        parsl.clear()
