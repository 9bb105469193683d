"""A campaign on a Slurm cluster whose nodes come and go: every result, and a pool that is held.

    python examples/pool_on_slurm.py --partitions main,debug --min-nodes 2 --max-nodes 8 --tasks 200

Each task estimates the volume of a ball in several dimensions from random points, so its answer depends on
its seed alone: a task that is lost with its node gives the same number when it is run again. The partitions
are members of one pool; a node that is lost is replaced, also while there is nothing to do. At the end stands
what was asked for beside what was held.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import parsl
from parsl.executors import HighThroughputExecutor
from parsl.launchers import SingleNodeLauncher
from parsl.providers import SlurmProvider

from parsl_diaspora import PoolSpec, SiteSpec, resilient
from parsl_diaspora.cli.main import main as command
from parsl_diaspora.providers import ResilientPoolProvider

LABEL = "slurm"
DIMENSIONS = 5


@parsl.python_app
def volume(seed: int, points: int, dimensions: int, seconds: float) -> float:
    """Volume of the unit ball, estimated from random points; takes some time as real work does."""
    import random
    import time

    chance = random.Random(seed)
    inside = sum(sum(chance.uniform(-1, 1) ** 2 for _ in range(dimensions)) <= 1 for _ in range(points))
    time.sleep(seconds)
    return 2**dimensions * inside / points


def provider(partition: str, args: argparse.Namespace) -> SlurmProvider:
    """One partition of the cluster."""
    kind = type("Partition", (SlurmProvider,), {"status_polling_interval": args.status_every})
    made: SlurmProvider = kind(
        partition=partition,
        account=args.account,
        nodes_per_block=1,
        exclusive=True,
        walltime=args.walltime,
        worker_init=args.worker_init,
        launcher=SingleNodeLauncher(),
    )
    return made


def configuration(args: argparse.Namespace) -> parsl.Config:
    """One executor over all partitions, and what must be held."""
    partitions = args.partitions.split(",")
    executor = HighThroughputExecutor(
        label=LABEL,
        address=args.address,
        loopback_address="127.0.0.1",
        encrypted=True,
        max_workers_per_node=args.workers,
        provider=ResilientPoolProvider(
            {name: provider(name, args) for name in partitions},
            init_blocks=0,
            max_blocks=args.max_nodes,
            submissions_per_minute=12,
        ),
    )
    pool = PoolSpec(
        sites={f"{LABEL}/{name}": SiteSpec(location=name) for name in partitions},
        min_nodes=args.min_nodes,
        max_nodes=args.max_nodes,
        min_locations=min(len(partitions), args.min_nodes),
        requests_per_minute=12,
        idle="30s",
    )
    config = parsl.Config(executors=[executor], run_dir=str(args.run_dir), strategy_period=1)
    return resilient(config, pool=pool)


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--partitions", default="main", help="separated by commas (default: %(default)s)")
    parser.add_argument("--account")
    parser.add_argument("--walltime", default="00:30:00")
    parser.add_argument(
        "--worker-init", default="", help="shell lines that set up the environment of workers"
    )
    parser.add_argument("--address", help="of this host, as the nodes reach it (default: Parsl finds it)")
    parser.add_argument("--workers", type=int, default=2, help="tasks that a node runs at once")
    parser.add_argument("--min-nodes", type=int, default=2)
    parser.add_argument("--max-nodes", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--points", type=int, default=20_000, help="of each task")
    parser.add_argument("--seconds", type=float, default=1.0, help="that a task takes besides")
    parser.add_argument("--status-every", type=int, default=30, help="seconds between two looks at the queue")
    parser.add_argument("--run-dir", type=Path, default=Path("runinfo"))
    return parser.parse_args()


def gather(futures: list[Future[float]]) -> list[float]:
    """All results, with a word about how far it is."""
    began, told = time.monotonic(), 0
    while (done := sum(future.done() for future in futures)) < len(futures):
        if done >= told + max(1, len(futures) // 10):
            print(f"{time.monotonic() - began:6.0f} s  {done} of {len(futures)} tasks have ended", flush=True)
            told = done
        time.sleep(0.5)
    return [future.result() for future in futures]


def main() -> int:
    """Run the campaign."""
    args = read_arguments()
    with parsl.load(configuration(args)):
        futures = [volume(seed, args.points, DIMENSIONS, args.seconds) for seed in range(args.tasks)]
        volumes = gather(futures)
    mean, error = statistics.mean(volumes), statistics.stdev(volumes) / math.sqrt(len(volumes))
    exact = math.pi ** (DIMENSIONS / 2) / math.gamma(DIMENSIONS / 2 + 1)
    print(f"{len(volumes)} of {args.tasks} results: volume {mean:.4f} +- {error:.4f}, exactly {exact:.4f}\n")
    return command(["pools", "show", "last", "--run-dir", str(args.run_dir)])


if __name__ == "__main__":
    sys.exit(main())
