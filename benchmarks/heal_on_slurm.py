"""One of four blocks on a real Slurm is cancelled: seconds until four nodes work again, ours beside stock.

    python benchmarks/heal_on_slurm.py [--wait 40]

The Slurm is that of the tests, with four emulated nodes on this host, a block on each. Idle: there is nothing
to do; busy: there are more tasks than workers. What is not healed within the wait is printed as never.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import parsl
from parsl import Config, HighThroughputExecutor, python_app
from parsl.launchers import SingleNodeLauncher

sys.path.insert(0, str(Path(__file__).parents[1]))

from parsl_diaspora import PoolSpec, SiteSpec, resilient
from tests.services.slurm.cluster import SlurmCluster
from tests.services.slurm.provider import QuickSlurmProvider, worker_init

NODES = 4


@python_app
def nap(seconds: float) -> float:
    """Keep a worker busy, and no core."""
    import time

    time.sleep(seconds)
    return seconds


def config(directory: str) -> Config:
    """Four blocks of a node each, as few as there may be."""
    provider = QuickSlurmProvider(
        partition="main",
        walltime="00:30:00",
        exclusive=True,
        init_blocks=NODES,
        min_blocks=NODES,
        max_blocks=NODES,
        launcher=SingleNodeLauncher(),
        worker_init=worker_init(),
        scheduler_options="#SBATCH --no-requeue",
    )
    executor = HighThroughputExecutor(
        label="cpu",
        address="127.0.0.1",
        encrypted=True,
        max_workers_per_node=1,
        heartbeat_period=1,
        heartbeat_threshold=8,
        provider=provider,
    )
    return Config(executors=[executor], run_dir=directory, strategy="simple", strategy_period=0.5)


def until(executor: HighThroughputExecutor, without: set[str], wait: float) -> float | None:
    """Seconds until four managers work that are in none of these blocks; None if they do not."""
    since = time.monotonic()
    while time.monotonic() - since < wait:
        blocks = {each["block_id"] for each in executor.connected_managers()} - without
        if len(blocks) == NODES:
            return time.monotonic() - since
        time.sleep(0.1)
    return None


def heal(cluster: SlurmCluster, executor: HighThroughputExecutor, wait: float) -> str:
    """Cancel one block, and wait for another one."""
    block, *_ = sorted({each["block_id"] for each in executor.connected_managers()})
    cluster.scancel(str(executor.blocks_to_job_id[block]))
    found = until(executor, {block}, wait)
    return f"never (within {wait:g} s)" if found is None else f"{found:5.1f} s"


def measure(name: str, cluster: SlurmCluster, made: Config, wait: float) -> None:
    """Idle, then busy."""
    kernel = parsl.load(made)
    executor = kernel.executors["cpu"]
    try:
        began = until(executor, set(), 120.0)
        print(f"{name}: four nodes after {began or float('nan'):.1f} s", flush=True)
        print(f"  idle  {heal(cluster, executor, wait)}", flush=True)
        futures = [nap(2.0) for _ in range(60)]
        if until(executor, set(), wait) is not None:
            print(f"  busy  {heal(cluster, executor, wait)}", flush=True)
        for future in futures:
            future.exception()
    finally:
        kernel.cleanup()
        parsl.clear()


def main() -> None:
    """Both, on one Slurm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wait", type=float, default=40.0, help="seconds for one heal, at most")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        cluster = SlurmCluster(Path(directory))
        try:
            cluster.start()
            os.environ.update(cluster.env)
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
            spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=NODES)}, min_nodes=NODES)
            measure("ours", cluster, resilient(config(f"{directory}/ours"), pool=spec), args.wait)
            measure("stock", cluster, config(f"{directory}/stock"), args.wait)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
