"""A program with more blocks than its Slurm has nodes, which waits to be killed: run with a directory."""

from __future__ import annotations

import sys
import time

import parsl
from parsl import Config, HighThroughputExecutor

from parsl_diaspora import resilient
from parsl_diaspora.providers import ResilientPoolProvider
from tests.services.slurm.provider import QuickSlurmProvider, worker_init

BLOCKS = 6


def main(directory: str) -> None:
    """Ask for blocks, and wait."""
    member = QuickSlurmProvider(partition="main", walltime="00:10:00", worker_init=worker_init())
    pool = ResilientPoolProvider(
        {"main": member}, init_blocks=BLOCKS, max_blocks=BLOCKS, submissions_per_minute=60
    )
    executor = HighThroughputExecutor(
        label="alder",
        address="127.0.0.1",
        encrypted=True,
        max_workers_per_node=1,
        heartbeat_period=1,
        heartbeat_threshold=8,
        provider=pool,
    )
    stock = Config(executors=[executor], run_dir=f"{directory}/runinfo", strategy="none", strategy_period=0.5)
    kernel = parsl.load(resilient(stock))
    print(kernel.run_id, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
