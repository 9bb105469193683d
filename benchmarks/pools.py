"""Pools: what is held, healed, killed and paid, ours beside stock Parsl, in the same simulated worlds.

    python benchmarks/pools.py [--seeds 5] [--hours 1] [--nodes 1000]

Both conduct the same simulated sites: ours is the pool controller as programs run it, stock is Parsl's own
scaling with its error handler (`min_blocks=4`). CPU is that of this process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

from parsl.jobs import strategy
from parsl.jobs.error_handlers import simple_error_handler
from parsl.jobs.states import JobState, JobStatus

from parsl_diaspora import PoolSpec, SiteSpec
from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    Event,
    NodeSampled,
    TryEnded,
    TryStarted,
    WorkerSampled,
)
from parsl_diaspora.scaling.controller import HEEDED, Controller
from parsl_diaspora.scaling.simulator import Outcome, Scenario, simulate
from parsl_diaspora.scaling.simulator.cluster import Cluster
from parsl_diaspora.scaling.simulator.measure import quantile
from parsl_diaspora.scaling.simulator.run import Conductor
from parsl_diaspora.scaling.simulator.world import World
from parsl_diaspora.scaling.sites import Refused

LABEL = "cpu"
MAX_NODES, FLOOR = 16, 4
STATES = {"PENDING": JobState.PENDING, "RUNNING": JobState.RUNNING}


class StockExecutor:
    """What Parsl's strategy and error handler see of an executor, over simulated blocks."""

    label = LABEL
    workers_per_node = 1

    def __init__(self, world: World, cluster: Cluster) -> None:
        self.provider = SimpleNamespace(
            init_blocks=FLOOR, min_blocks=FLOOR, max_blocks=MAX_NODES, nodes_per_block=1, parallelism=1.0
        )
        self.bad_state_is_set = False
        self.status_facade: dict[str, JobStatus] = {}
        self._world, self._cluster = world, cluster
        world.listen(self._hear)

    def outstanding(self) -> int:
        """Tasks that have not ended."""
        return self._world.picture.outstanding.get(LABEL, 0)

    def scale_out_facade(self, blocks: int) -> list[str]:
        """Ask for blocks."""
        return [self._start() for _ in range(blocks)]

    def _start(self) -> str:
        try:
            block = self._cluster.request(LABEL, walltime=None)
            self.status_facade[block] = JobStatus(JobState.PENDING)
        except Refused as refusal:
            block = f"refused-{len(self.status_facade)}"
            self.status_facade[block] = JobStatus(JobState.FAILED, refusal.message)
        return block

    def scale_in_facade(self, blocks: int, max_idletime: float | None = None) -> list[str]:
        """As stock: the first ones, whatever runs there."""
        active = [block for block, status in self.status_facade.items() if not status.terminal]
        for block in active[:blocks]:
            self._cluster.release(LABEL, block, "stock scales in")
        return active[:blocks]

    def set_bad_state_and_fail_all(self, exception: Exception) -> None:
        """Stock gives the executor up."""
        self.bad_state_is_set = True

    def _hear(self, event: Event) -> None:
        if isinstance(event, BlockSeen):
            self.status_facade[event.block or ""] = JobStatus(STATES[event.state])
        elif isinstance(event, BlockLost):
            state = JobState.SCALED_IN if event.expected else JobState.FAILED
            self.status_facade[event.block or ""] = JobStatus(state)


def stock(world: World, cluster: Cluster) -> Callable[[], None]:
    """Parsl's own scaling."""
    executor = StockExecutor(world, cluster)
    clock = mock.patch.object(strategy, "time", SimpleNamespace(time=lambda: world.now))
    scaling = strategy.Strategy(strategy="simple", max_idletime=120.0)
    scaling.add_executors([executor])  # type: ignore[list-item]

    def poll() -> None:
        with clock:
            simple_error_handler(executor, executor.status_facade)  # type: ignore[arg-type]
            scaling.strategize([executor])  # type: ignore[list-item]

    return poll


def outcomes(
    seeds: int, conductor: Conductor | None, availability: float, **scenario: object
) -> list[Outcome]:
    """The same scenario with several seeds."""
    spec = PoolSpec(sites={LABEL: SiteSpec(max_nodes=MAX_NODES)}, min_nodes=FLOOR, availability=availability)
    worlds = (Scenario.read({**scenario, "seed": seed}) for seed in range(1, seeds + 1))
    return [simulate(spec, world, conductor=conductor) for world in worlds]


def compare(title: str, seeds: int, show: Callable[[list[Outcome]], str], **scenario: object) -> None:
    """One scenario for the three."""
    print(f"\n{title}")
    for name, conductor, availability in (
        ("stock", stock, 0.0),
        ("ours", None, 0.0),
        ("ours, 0.99", None, 0.99),
    ):
        print(f"  {name:<12} {show(outcomes(seeds, conductor, availability, **scenario))}")


def mean(values: list[float]) -> float:
    """Not a number if there are none."""
    return statistics.mean(values) if values else float("nan")


def _held(found: list[Outcome]) -> str:
    shares = [each.held for each in found]
    nodes = mean([each.node_hours for each in found])
    return f"targets held {mean(shares):7.2%} (worst {min(shares):7.2%})   node-hours {nodes:6.1f}"


def _heals(found: list[Outcome]) -> str:
    heals = tuple(heal for each in found for heal in each.heals)
    times = f"healed {len(heals)} times"
    if heals:
        times += f", half within {quantile(heals, 0.5):.0f} s, all within {max(heals):.0f} s"
    return f"targets held {mean([each.held for each in found]):7.2%}   {times}"


def _paid(found: list[Outcome]) -> str:
    ratio = mean([each.node_hours / each.least_node_hours for each in found])
    done = mean([each.done / each.submitted for each in found])
    killed = sum(each.killed for each in found)
    return f"killed by shrinking {killed}   node-hours {ratio:4.2f} of the least   tasks done {done:7.2%}"


def _asked(found: list[Outcome]) -> str:
    most = max(each.most_requests for each in found)
    return f"requests: {most} a minute at most, {mean([each.requests for each in found]):.0f} in all"


def controller_cpu(nodes: int, seconds: float = 60.0, rate: int = 10) -> None:
    """What the controller costs where every node is heard ten times a second."""
    world = World(1)
    spec = PoolSpec(sites={LABEL: SiteSpec(max_nodes=nodes)}, min_nodes=nodes, requests_per_minute=10 * nodes)
    sites = {LABEL: {"nodes": nodes, "wait": "5s", "spread": 0.0, "start": "1s"}}
    cluster = Cluster(world, spec, Scenario.read({"sites": sites}))
    controller = Controller(spec, cluster, world.picture, world.say)
    world.listen(controller.fold)
    controller.step(world.now)
    world.go_on(30.0)
    controller.step(world.now)
    events = _mixed(world, [node.name for node in cluster.nodes()], rate)
    spent = 0.0
    for second in range(int(seconds)):
        began = time.process_time()
        for event in events:
            if type(event) in HEEDED:
                controller.fold(event)
        if second % 2 == 0:
            controller.step(world.now + second)
        spent += time.process_time() - began
    print(
        f"\nthe controller at {len(cluster.nodes())} nodes, {rate} events a second each, 5 % of them of tries"
    )
    print(f"  CPU {spent / seconds:7.3%} of a core (goal 1 %)")


def _mixed(world: World, nodes: list[str], rate: int) -> list[Event]:
    """A second's events: mostly samples; one in twenty is of a try."""
    events: list[Event] = []
    for number, node in enumerate(nodes):
        place = {"executor": LABEL, "manager": node, "block": node.partition(".")[0], "node": node}
        for index in range(rate):
            if (number * rate + index) % 40 == 0:
                events.append(TryStarted(task=number, try_id=0, **place))
            elif (number * rate + index) % 40 == 20:
                events.append(TryEnded(task=number, try_id=0, seconds=1.0, **place))
            else:
                events.append((NodeSampled, WorkerSampled)[index % 2](**place))
    return events


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="worlds of each kind")
    parser.add_argument("--hours", type=float, default=1.0, help="simulated, of each")
    parser.add_argument("--nodes", type=int, default=1000, help="for the cost of the controller")
    args = parser.parse_args()
    losses = {"every": "2m"}
    site = {LABEL: {"wait": "20s", "start": "5s"}}
    hours = {"hours": args.hours, "sites": site}
    busy = [{"tasks": 400, "seconds": 60}]
    python = sys.version.split()[0]
    print(f"{args.seeds} worlds each, {args.hours:g} h, {FLOOR} nodes to be held; Python {python}")
    compare("a loss every two minutes, nothing to do", args.seeds, _held, losses=losses, **hours)
    compare("a loss every two minutes, work for all", args.seeds, _held, losses=losses, work=busy, **hours)
    one = {"outages": [], "losses": {"every": "40m"}}
    compare("one of four lost now and then, idle", args.seeds, _heals, **one, **hours)
    compare("one of four lost now and then, busy", args.seeds, _heals, work=busy, **one, **hours)
    bursts = [{"at": "5m", "tasks": 60, "seconds": 60, "every": "20m"}]
    compare("bursts of 60 tasks of a minute", args.seeds, _paid, work=bursts, **hours)
    lying = {LABEL: {"refuses": 1.0}}
    compare("a scheduler that refuses all", args.seeds, _asked, hours=args.hours, sites=lying, work=busy)
    controller_cpu(args.nodes)


if __name__ == "__main__":
    main()
