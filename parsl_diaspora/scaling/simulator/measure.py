"""What came of a simulation: how much of the time the pool held what it should, and what that cost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from parsl_diaspora.events import BlockReleased, Event, PoolDeficitSeen
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.budget import HOUR
from parsl_diaspora.scaling.counts import Count, floors, no_spare
from parsl_diaspora.scaling.held import HeldShare
from parsl_diaspora.scaling.simulator.cluster import Cluster
from parsl_diaspora.scaling.simulator.scenario import Scenario
from parsl_diaspora.scaling.simulator.work import Tasks
from parsl_diaspora.scaling.simulator.world import World

MINUTE = 60.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a simulation.

    Attributes:
        hours: that were simulated.
        held: part of the time, since everything was first held, in which all was held that should be.
        node_share: nodes held of those that should be, mean over the same time; more counts as all.
        first_held: seconds until all was held for the first time; None if it never was.
        heals: seconds of each time in which something was lacking after that.
        losses: nodes that were lost.
        requests: blocks asked for.
        most_requests: within any minute, at one site.
        killed: tries that ran on blocks as they were given back.
        released: blocks given back.
        node_hours: used.
        least_node_hours: that the floor and the work need at least.
        submitted: tasks.
        done: tasks that ended.
        lost: tries lost with their nodes.
        makespan: seconds until the last task ended.
        deficits: how often each kind of deficit was said.
    """

    hours: float
    held: float
    node_share: float
    first_held: float | None
    heals: tuple[float, ...]
    losses: int
    requests: int
    most_requests: int
    killed: int
    released: int
    node_hours: float
    least_node_hours: float
    submitted: int
    done: int
    lost: int
    makespan: float
    deficits: dict[str, int]


class Measure:
    """Looks at a simulation from outside: at what is, not at what the controller knows.

    Args:
        world: whose time it lives in.
        spec: what should be held.
        cluster: what is.
    """

    def __init__(self, world: World, spec: PoolSpec, cluster: Cluster) -> None:
        self._world = world
        self._spec = spec
        self._cluster = cluster
        self._held = HeldShare(spec)
        self._since = self._share = self._shares = 0.0
        self._deficits: dict[str, int] = {}
        self._released = 0
        cluster.on_change = self.look
        world.listen(self._hear)

    def look(self) -> None:
        """Something has changed."""
        now = self._world.since_start
        if self._held.first is not None:
            self._shares += (now - self._since) * self._share
        counts = {site: Count(held=nodes) for site, nodes in self._cluster.held().items()}
        self._held.look(now, counts)
        self._since, self._share = now, self._least_share(counts)

    def _least_share(self, counts: Mapping[str, Count]) -> float:
        asked = [each for each in floors(self._spec, counts, no_spare) if each.wanted]
        return min((min(1.0, each.held / each.wanted) for each in asked), default=1.0)

    def _hear(self, event: Event) -> None:
        if isinstance(event, PoolDeficitSeen):
            self._deficits[event.what] = self._deficits.get(event.what, 0) + 1
        elif isinstance(event, BlockReleased):
            self._released += 1

    def outcome(self, scenario: Scenario, tasks: Tasks, losses: int) -> Outcome:
        """All in all."""
        self.look()
        first = self._held.first
        measured = scenario.seconds - (scenario.seconds if first is None else first)
        times = self._cluster.requests
        return Outcome(
            hours=scenario.hours,
            held=self._held.part(scenario.seconds),
            node_share=self._shares / measured if measured else 0.0,
            first_held=first,
            heals=tuple(self._held.heals),
            losses=losses,
            requests=sum(len(each) for each in times.values()),
            most_requests=max((most_within(each, MINUTE) for each in times.values()), default=0),
            killed=self._cluster.killed,
            released=self._released,
            node_hours=self._cluster.used() / HOUR,
            least_node_hours=self._least(scenario, tasks),
            submitted=tasks.submitted,
            done=tasks.done,
            lost=tasks.lost,
            makespan=tasks.last_end,
            deficits=self._deficits,
        )

    def _least(self, scenario: Scenario, tasks: Tasks) -> float:
        """Node-hours that no pool could do without: the floor at all times, or the work, packed perfectly."""
        floor = max([self._spec.min_nodes, sum(site.min_nodes for site in self._spec.sites.values())])
        workers = max((site.workers for site in scenario.sites.values()), default=1)
        return max(floor * scenario.hours, tasks.seconds / workers / HOUR)


def most_within(times: list[float], span: float) -> int:
    """The most of these times that lie within any span.

    Example:
        >>> most_within([0.0, 10.0, 59.0, 61.0, 300.0], 60.0)
        3
    """
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - span:
            first += 1
        most = max(most, last - first + 1)
    return most


def quantile(values: tuple[float, ...], part: float) -> float:
    """The value below which that part of them lies; not a number if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else math.nan
