"""What a try costs its worker beside the task, and what a look at a node costs. Used by overhead.py."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from parsl.app.python import PythonApp
from parsl.executors.execute_task import execute_task
from parsl.serialize import pack_apply_message, serialize

from parsl_diaspora.executors.launch import Launch, pack
from parsl_diaspora.executors.plain import pack_call
from parsl_diaspora.executors.supervision.board import VARIABLE, Board
from parsl_diaspora.monitoring import runner
from parsl_diaspora.monitoring.node.cgroups import ControlGroup
from parsl_diaspora.monitoring.node.gpus import Gpus
from parsl_diaspora.monitoring.node.sampling import Sampler

RUN = "0c8d9d3e-6f0e-4b52-9d5c-2a9f6f1f7c11"
WORKERS = 32
_THRESHOLD = 1_000_000  # as Parsl's worker serializes results
_BATCH = 200


def noop() -> None:
    """A task that does nothing."""


def try_times(count: int) -> tuple[list[float], list[float]]:
    """CPU seconds of one try of a no-op app on its worker: as stock runs it, and as ours, all of it on.

    Each is the mean of a batch; batches of the two alternate, so that a busy machine is one for both.
    """
    stock_call = pack_apply_message(PythonApp(noop).func, (), {})
    our_call = pack_call(PythonApp(noop).func, (), {})
    assert our_call is not None

    def stock(_: int) -> None:
        serialize(execute_task(stock_call), buffer_threshold=_THRESHOLD)

    with _worker() as url:

        def ours(number: int) -> None:
            launch = Launch(run=RUN, task=number, try_id=0, executor="htex", url=url, plain=True)
            serialize(runner.run(our_call, pack(launch)), buffer_threshold=_THRESHOLD)

        rounds = max(2, count // _BATCH)
        pairs = [(_mean(stock), _mean(ours)) for _ in range(rounds)]
    return [each for each, _ in pairs[1:]], [each for _, each in pairs[1:]]


def _mean(run: Callable[[int], None]) -> float:
    before = time.process_time()
    for number in range(_BATCH):
        run(number)
    return (time.process_time() - before) / _BATCH


@contextmanager
def _worker() -> Iterator[str]:
    """This process as a worker with a board; the fabric's URL."""
    with tempfile.TemporaryDirectory() as directory:
        board = Board.create(Path(directory, "board"))
        names = {"POOL_ID": "5f0c1de31f53", "BLOCK_ID": "0", "RANK": "0"}
        environ = {f"PARSL_WORKER_{name}": value for name, value in names.items()}
        with mock.patch.dict(os.environ, environ | {VARIABLE: str(board.path)}):
            yield f"file:{Path(directory, 'log')}"
        board.remove()


def sample_times(count: int) -> list[float]:
    """CPU seconds of one look at a node with 32 workers."""
    workers = [subprocess.Popen(["sleep", "600"]) for _ in range(WORKERS)]
    board = Board.create()
    try:
        for rank, worker in enumerate(workers):
            board.slot(rank).enter(worker.pid, rank, 0)
        sampler = Sampler(os.getpid(), board, group=ControlGroup.of(), gpus=Gpus())
        taken = []
        for _ in range(count):
            before = time.thread_time()
            events = sampler.sample()
            taken.append(time.thread_time() - before)
            assert len(events) == WORKERS + 1
        return taken
    finally:
        board.remove()
        for worker in workers:
            worker.kill()
            worker.wait()
