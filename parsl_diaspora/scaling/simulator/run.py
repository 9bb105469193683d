"""One simulation, from the start of its world to its end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from parsl_diaspora.events import Event
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.controller import Controller
from parsl_diaspora.scaling.counts import executor_of
from parsl_diaspora.scaling.simulator.cluster import Cluster, Node
from parsl_diaspora.scaling.simulator.measure import Measure, Outcome
from parsl_diaspora.scaling.simulator.scenario import Scenario
from parsl_diaspora.scaling.simulator.work import Tasks
from parsl_diaspora.scaling.simulator.world import World
from parsl_diaspora.sizes import parse_seconds

#: What conducts the pool: given its world and cluster, called every period of the scenario.
Conductor = Callable[[World, Cluster], Callable[[], None]]


def simulate(
    spec: PoolSpec,
    scenario: Scenario,
    *,
    conductor: Conductor | None = None,
    listener: Callable[[Event], None] | None = None,
) -> Outcome:
    """Run the pool controller, the very code that programs run, in a simulated world.

    Args:
        spec: what it should hold.
        scenario: what the world is like.
        conductor: somebody else in the controller's place, to compare with.
        listener: called with each event.

    Example:
        >>> from parsl_diaspora.pool_settings import SiteSpec
        >>> spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=8)}, min_nodes=4)
        >>> outcome = simulate(spec, Scenario.read({"losses": {"every": "2m"}, "seed": 7}))
        >>> outcome.held > 0.5, outcome.killed, outcome.most_requests <= spec.requests_per_minute
        (True, 0, True)
    """
    world = World(scenario.seed)
    cluster = Cluster(world, spec, scenario)
    measure = Measure(world, spec, cluster)
    tasks = Tasks(world, cluster, executor_of(next(iter(spec.sites))))
    if listener is not None:
        world.listen(listener)
    for burst in scenario.work:
        tasks.plan(burst)
    chance = Chance(world, cluster, spec, scenario)
    chance.plan()
    step = (conductor or _controlled(spec, scenario.seed))(world, cluster)
    world.every(scenario.period, step)
    world.go_on(scenario.seconds)
    return measure.outcome(scenario, tasks, chance.losses)


def _controlled(spec: PoolSpec, seed: int) -> Conductor:
    def conduct(world: World, cluster: Cluster) -> Callable[[], None]:
        controller = Controller(spec, cluster, world.picture, world.say, seed=seed)
        world.listen(controller.fold)
        return lambda: controller.step(world.now)

    return conduct


class Chance:
    """What goes wrong in a simulated world.

    Args:
        world: whose time it lives in.
        cluster: what it happens to.
        spec: of the pool, which knows what is where.
        scenario: how much goes wrong.

    Attributes:
        losses: nodes that were lost.
    """

    def __init__(self, world: World, cluster: Cluster, spec: PoolSpec, scenario: Scenario) -> None:
        self._world = world
        self._cluster = cluster
        self._spec = spec
        self._scenario = scenario
        self._found_after = parse_seconds(scenario.losses.found_after)
        self.losses = 0

    def plan(self) -> None:
        """Let it happen."""
        self._next_loss()
        for at in self._scenario.losses.at:
            self._world.after(parse_seconds(at), self._lose_any)
        for outage in self._scenario.outages:
            what = partial(self._outage, outage.location, parse_seconds(outage.lasts))
            self._world.after(parse_seconds(outage.at), what)

    def _mean(self) -> float:
        """Seconds between two losses, as many nodes as there are now."""
        losses = self._scenario.losses
        rates = []
        if losses.every:
            rates.append(1 / parse_seconds(losses.every))
        if losses.node_mtbf:
            rates.append(max(1, len(self._cluster.nodes())) / parse_seconds(losses.node_mtbf))
        return 1 / sum(rates) if rates else 0.0

    def _next_loss(self) -> None:
        if mean := self._mean():
            self._world.after(self._world.rng.expovariate(1 / mean), self._lose_one)

    def _lose_one(self) -> None:
        self._lose_any()
        self._next_loss()

    def _lose_any(self) -> None:
        if nodes := self._cluster.nodes():
            self._lose(self._world.rng.choice(nodes))

    def _outage(self, location: str, seconds: float) -> None:
        sites = self._spec.locations.get(location, [])
        for site in sites:
            self._cluster.close(site, seconds)
        for node in self._cluster.nodes():
            if node.block.site in sites:
                self._lose(node)

    def _lose(self, node: Node) -> None:
        self.losses += 1
        self._cluster.lose(node, self._found_after)
