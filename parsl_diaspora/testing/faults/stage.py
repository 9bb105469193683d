"""A Parsl program at Parsl's default heartbeats, and hands to strike its processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import parsl
import psutil
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora.configure import resilient
from parsl_diaspora.testing.faults.apps import hold
from parsl_diaspora.testing.processes import MARK_VARIABLE, worker_init

POLL = 0.02  # seconds
READY = 180.0  # seconds for a pool to come up, or for tasks to begin, on however busy a host
LABEL = "htex"


class Stage:
    """One program under test: stock, or made resilient and otherwise the same.

    Args:
        kind: ``ours`` or ``stock``.
        directory: for its logs and events.
        mark: token that all its workers carry.

    Attributes:
        struck: when the fault happened, seconds UTC.
        failures: time and class of what came to the retry handler of a stock program.
    """

    def __init__(self, kind: str, directory: Path, mark: str) -> None:
        self.kind = kind
        self.directory = directory
        self.mark = mark
        self.url = f"file:{directory / 'events'}"
        self.struck = 0.0
        self.failures: list[tuple[float, str]] = []
        self.begun = directory / "begun"
        self.begun.mkdir(parents=True, exist_ok=True)
        self._kernel: Any = None

    # --- the program ---

    def load(
        self, *, blocks: int = 1, workers: int = 2, retries: int = 2, strategy: str = "none", more: str = ""
    ) -> None:
        """Load a configuration and wait until all its managers are there.

        Args:
            blocks: how many, each with one manager.
            workers: of each manager.
            retries: ``Config.retries``.
            strategy: ``Config.strategy``.
            more: lines of shell that each block runs before its pool starts.
        """
        config = Config(
            executors=[self._executor(blocks, workers, more)],
            run_dir=str(self.directory / "runinfo"),
            retries=retries,
            retry_handler=self._note_failure if self.kind == "stock" else None,
            strategy=strategy,
            initialize_logging=False,
        )
        self._kernel = parsl.load(config if self.kind == "stock" else resilient(config, fabric=self.url))
        self._wait_until(lambda: len(self.executor.connected_managers()) >= blocks, "managers")

    def _executor(self, blocks: int, workers: int, more: str) -> HighThroughputExecutor:
        marked = worker_init(self.mark, LABEL, {"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
        return HighThroughputExecutor(
            label=LABEL,
            address="127.0.0.1",
            encrypted=True,
            max_workers_per_node=workers,
            cores_per_worker=0.01,
            provider=LocalProvider(
                init_blocks=blocks, min_blocks=blocks, max_blocks=blocks, worker_init=f"{marked}\n{more}"
            ),
        )

    def _note_failure(self, error: Exception, task: Any) -> float:
        del task
        self.failures.append((time.time(), type(error).__name__))
        return 1.0

    @property
    def executor(self) -> Any:
        """The executor that runs the tasks."""
        return self._kernel.executors[LABEL]

    def start(self, count: int, seconds: float) -> tuple[list[Future[Any]], list[int]]:
        """Start tasks; their futures, and the workers that hold them by now, by process id."""
        before = len(self.tries())
        futures: list[Future[Any]] = [hold(seconds, str(self.begun)) for _ in range(count)]
        self._wait_until(lambda: len(self.tries()) >= before + count, "tasks")
        time.sleep(0.2)  # in the middle of it
        return futures, [pid for _, pid in self.tries()[before:]]

    def workers_after(self, seconds: float) -> list[int]:
        """Process ids of the workers that have begun, so many seconds after the last of them did."""
        self._wait_until(self.tries, "tasks")
        began = self.tries()
        time.sleep(max(0.0, began[-1][0] + seconds - time.time()))
        return [pid for _, pid in began]

    def tries(self) -> list[tuple[float, int]]:
        """When each try began, seconds UTC, and the process id of its worker; the oldest first."""
        names = (entry.name.partition("-") for entry in self.begun.iterdir())
        return sorted((int(when) / 1e9, int(pid)) for when, _, pid in names)

    def _wait_until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + READY
        while not condition():
            if time.monotonic() > deadline:
                message = f"The {what} of this program did not come up in {READY:.0f} s."
                raise TimeoutError(message)
            time.sleep(POLL)

    # --- the fault ---

    def strike(self, pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to processes, all in the same moment as far as they can tell."""
        victims = list(pids)
        self.struck = self.struck or time.time()
        if number == signal.SIGKILL and len(victims) > 1:
            _send(victims, signal.SIGSTOP)
        _send(victims, number)

    def manager_of(self, worker: int) -> int:
        """Process id of a worker's manager."""
        return psutil.Process(worker).ppid()

    def block_of(self, worker: int) -> list[int]:
        """Process ids of all that runs on the worker's node for its block."""
        head = psutil.Process(worker)
        while (parent := head.parent()) is not None and self._is_marked(parent):
            head = parent
        return [head.pid, *(process.pid for process in head.children(recursive=True))]

    def interchange(self) -> int:
        """Process id of the interchange."""
        return int(self.executor.interchange_proc.pid)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK_VARIABLE) == self.mark
        except psutil.Error:
            return False


def _send(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
