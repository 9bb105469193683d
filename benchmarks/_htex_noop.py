"""The measured program: no-op tasks through HTEX, stock or resilient; overhead.py runs it once a round.

``monitored`` is stock with its monitoring hub, which samples each task's resources; ``kept`` is that made
resilient.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from typing import Any

import parsl
import psutil
from parsl import python_app
from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.monitoring import MonitoringHub
from parsl.providers import LocalProvider

from parsl_diaspora import resilient
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.state import read_history

WARM_UP = 200
SAMPLE_SECONDS = 1.0
MONITORED, RESILIENT = ("monitored", "kept"), ("resilient", "kept")
WORKERS = 2
SETTLE_SECONDS = 0.3
PR_SET_CHILD_SUBREAPER = 36


@python_app
def noop() -> None:
    """The cheapest task there is."""


def configuration(run_dir: str, logging: bool, *, monitored: bool = False) -> Config:
    """One block with two workers, encrypted, on the loopback interface."""
    hub = MonitoringHub(
        hub_address="127.0.0.1",
        logging_endpoint=f"sqlite:///{run_dir}/monitoring.db",
        resource_monitoring_interval=SAMPLE_SECONDS,
    )
    executor = HighThroughputExecutor(
        label="htex",
        address="127.0.0.1",
        encrypted=True,
        cores_per_worker=0.1,
        max_workers_per_node=WORKERS,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
    )
    return Config(
        executors=[executor],
        strategy="none",
        strategy_period=0.5,
        run_dir=run_dir,
        initialize_logging=logging,
        monitoring=hub if monitored else None,
    )


def adopt_orphans() -> None:
    """Blocks are started by shells that end at once: let them stay in this process's tree (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class CpuTime:
    """User and system seconds that this process and the others of its tree have used from now on."""

    def __init__(self) -> None:
        self._own = time.process_time()
        self._others = _others()

    def since(self) -> tuple[float, float]:
        """Seconds of this process, and of all processes under it that were there at the start and live."""
        own = time.process_time() - self._own
        now = _others()
        return own, sum(now[pid] - before for pid, before in self._others.items() if pid in now)


def _others() -> dict[int, float]:
    seconds = {}
    for process in psutil.Process().children(recursive=True):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds[process.pid] = times.user + times.system
    return seconds


def run_tasks(count: int) -> float:
    """Submit so many tasks at once and wait for all; seconds."""
    started = time.perf_counter()
    futures = [noop() for _ in range(count)]
    for future in futures:
        future.result()
    return time.perf_counter() - started


def warm_up(count: int) -> int:
    """Tasks before those that are measured."""
    return min(WARM_UP, count)


def measure(count: int) -> dict[str, Any]:
    """Rate and CPU time of ``count`` tasks, without the start of the processes."""
    run_tasks(warm_up(count))
    time.sleep(SETTLE_SECONDS)
    cpu = CpuTime()
    seconds = run_tasks(count)
    time.sleep(SETTLE_SECONDS)  # what is written and read behind the tasks counts as well
    own, others = cpu.since()
    return {
        "rate": count / seconds,
        "submit": own / count * 1e6,
        "others": others / count * 1e6,
        "total": (own + others) / count * 1e6,
    }


def check_events(run_dir: str, count: int) -> None:
    """The resilient side has done its work: each try's start and end is known."""
    run = read_history(open_fabric(f"file:{run_dir}/events")).find("last")
    ended = sum(task.outcome == "done" and task.tries[0].pid > 0 for task in run.tasks.values())
    assert ended == count, f"{ended} of {count} tasks are known from start to end"
    assert run.ended is not None
    assert not run.ended.faults, run.ended.faults


def main() -> None:
    """Print the measurements as JSON on the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["stock", *RESILIENT, "monitored"])
    parser.add_argument("run_dir")
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--no-logging", action="store_true", help="without Parsl's debug log")
    arguments = parser.parse_args()

    adopt_orphans()
    monitored = arguments.kind in MONITORED
    config = configuration(arguments.run_dir, not arguments.no_logging, monitored=monitored)
    if arguments.kind in RESILIENT:
        config = resilient(config)
    with parsl.load(config) as dfk:
        found = measure(arguments.tasks)
    if arguments.kind in RESILIENT:
        check_events(dfk.run_dir, warm_up(arguments.tasks) + arguments.tasks)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
