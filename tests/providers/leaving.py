"""A program that asks for blocks and waits to be killed. Arguments: its directory, ``slurm`` or ``local``."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import parsl
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora import resilient
from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.testing.processes import worker_init
from tests.services.slurm.provider import QuickSlurmProvider
from tests.services.slurm.provider import worker_init as slurm_init

BLOCKS = 3
ROOT = Path(__file__).parents[2]


def on_slurm() -> tuple[ResilientPoolProvider, None]:
    """A pool provider whose blocks wait in the queue."""
    member = QuickSlurmProvider(partition="main", walltime="00:10:00", worker_init=slurm_init())
    return ResilientPoolProvider({"main": member}, init_blocks=BLOCKS, submissions_per_minute=60), None


def here(directory: str) -> tuple[LocalProvider, dict[str, object]]:
    """A pool of blocks on this host which are still busy with their environment."""
    init = worker_init(directory[-40:], "alder", {"PYTHONPATH": str(ROOT)})
    provider = LocalProvider(init_blocks=BLOCKS, worker_init=f"{init}\ntrap '' TERM\nsleep 600\n")
    return provider, {"sites": {"alder": {"max_nodes": BLOCKS}}}


def main(directory: str, kind: str) -> None:
    """Ask for blocks, say which run it is, and wait."""
    provider, pool = on_slurm() if kind == "slurm" else here(directory)
    executor = HighThroughputExecutor(
        label="alder", address="127.0.0.1", encrypted=True, provider=provider, cores_per_worker=0.01
    )
    stock = Config(executors=[executor], run_dir=f"{directory}/runinfo", strategy="none", strategy_period=0.5)
    kernel = parsl.load(resilient(stock, fabric=f"file:{directory}/log", pool=pool))
    print(kernel.run_id, os.getpid(), flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
