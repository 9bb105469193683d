"""Simulated sites: blocks wait, start, connect, work, and are lost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import msgspec

from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    ManagerLost,
    ManagerSeen,
    PlaceHeld,
)
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.counts import executor_of
from parsl_diaspora.scaling.simulator.scenario import Scenario, SimulatedSite
from parsl_diaspora.scaling.simulator.world import World
from parsl_diaspora.scaling.sites import OWNER, Granted, Offer, Refused, Whereabouts
from parsl_diaspora.sizes import parse_seconds


class Node(msgspec.Struct, eq=False):
    """A node that works.

    Attributes:
        name: of its manager.
        block: it is part of.
        workers: tasks that it can run at once.
        running: (task, try) pairs that it runs.
    """

    name: str
    block: SimulatedBlock
    workers: int
    running: set[tuple[int, int]] = msgspec.field(default_factory=set)

    @property
    def free(self) -> int:
        """Tasks that it could begin now."""
        return 0 if self.block.draining or self.block.ended else self.workers - len(self.running)


class SimulatedBlock(msgspec.Struct, eq=False):
    """A block, from its request to its end.

    Attributes:
        executor: label.
        number: id within the executor.
        site: where.
        started: when it began to run; None while it waits.
        ended: it is gone.
        draining: it gets no new work.
        nodes: those that work.
    """

    executor: str
    number: str
    site: str
    started: float | None = None
    ended: bool = False
    draining: bool = False
    nodes: list[Node] = []


class Cluster:
    """All sites of a simulation; `parsl_diaspora.scaling.sites.Sites` for the controller.

    Args:
        world: whose time it lives in.
        spec: of the pool.
        scenario: what the sites are like.

    Attributes:
        blocks: those that have not ended.
        requests: when each request was made, seconds since the start, by site.
        killed: tries that were running when their block was given back.
        on_nodes: called with a node that has come to work, or has room again.
        on_lost: called with a node that is gone.
    """

    def __init__(self, world: World, spec: PoolSpec, scenario: Scenario) -> None:
        self._world = world
        self._spec = spec
        self._sites = {site: scenario.sites.get(site, SimulatedSite()) for site in spec.sites}
        self._closed_until: dict[str, float] = {}
        self._numbers = itertools.count()
        self.blocks: dict[tuple[str, str], SimulatedBlock] = {}
        self.requests: dict[str, list[float]] = {site: [] for site in spec.sites}
        self.killed = 0
        self.node_seconds = 0.0
        self.on_nodes: Callable[[Node], None] = lambda node: None
        self.on_lost: Callable[[Node], None] = lambda node: None
        self.on_change: Callable[[], None] = lambda: None

    # --- what the controller asks ---

    def offers(self) -> Mapping[str, Offer]:
        """What each site can be asked for now."""
        return {
            site: Offer(
                executor=executor_of(site),
                nodes_per_block=each.nodes_per_block,
                workers_per_node=each.workers,
            )
            for site, each in self._sites.items()
        }

    def whereabouts(self, executor: str, job: str) -> Whereabouts:
        """Each event of a simulated block tells its site."""
        return Whereabouts(executor)

    def request(self, site: str, *, walltime: float | None) -> Granted:
        """Ask for a block.

        Raises:
            Refused: by chance, or because all nodes of the site are in use.
        """
        self.requests[site].append(self._world.since_start)
        asked = self._sites[site]
        if self._world.rng.random() < asked.refuses:
            raise Refused("The batch system refused the job.")
        block = SimulatedBlock(executor_of(site), str(next(self._numbers)), site, nodes=[])
        self.blocks[block.executor, block.number] = block
        self._say_state(block, "PENDING")
        self._world.after(self._wait(asked), lambda: self._start(block, walltime))
        return Granted(block.number, walltime or parse_seconds(asked.walltime))

    def drain(self, executor: str, block: str, reason: str) -> None:
        """Give a block no new work; it may have gone, without anybody knowing yet."""
        if (found := self.blocks.get((executor, block))) is not None:
            found.draining = True
        self._world.say(PlaceHeld(executor=executor, block=block, drain=True, reason=reason, owner=OWNER))
        self.on_change()

    def release(self, executor: str, block: str, reason: str) -> None:
        """Give a block back."""
        if (found := self.blocks.get((executor, block))) is not None:
            self.killed += sum(len(node.running) for node in found.nodes)
            self._end(found, "SCALED_IN", expected=True)

    # --- what happens ---

    def lose(self, node: Node, found_after: float) -> None:
        """A node fails, which is known a while later. Its block ends with its last node."""
        block = node.block
        if node not in block.nodes:
            return
        block.nodes.remove(node)
        self.on_lost(node)
        self.on_change()
        self._world.after(found_after, lambda: self._say_lost(node))
        if not block.nodes:
            self._count(block)
            block.ended = True
            self.blocks.pop((block.executor, block.number), None)
            self._world.after(found_after, lambda: self._say_end(block, "FAILED", expected=False))

    def close(self, site: str, seconds: float) -> None:
        """No block starts at a site for a while."""
        self._closed_until[site] = self._world.now + seconds

    def nodes(self) -> list[Node]:
        """Those that work."""
        return [node for block in self.blocks.values() for node in block.nodes]

    def held(self) -> dict[str, int]:
        """Nodes that work and are not about to go, by site: as it is, not as it is known."""
        found = dict.fromkeys(self._sites, 0)
        for block in self.blocks.values():
            if not block.draining:
                found[block.site] += len(block.nodes)
        return found

    def used(self) -> float:
        """Node-seconds of all blocks until now, from their start to their end."""
        running = (block for block in self.blocks.values() if block.started is not None)
        return self.node_seconds + sum(self._seconds(block) for block in running)

    def _wait(self, site: SimulatedSite) -> float:
        return parse_seconds(site.wait) * math.exp(self._world.rng.gauss(0.0, site.spread))

    def _start(self, block: SimulatedBlock, walltime: float | None) -> None:
        if block.ended:
            return
        site = self._sites[block.site]
        running = sum(
            site.nodes_per_block
            for each in self.blocks.values()
            if each.site == block.site and each.started is not None
        )
        opens = self._closed_until.get(block.site, 0.0)
        if opens > self._world.now or running + site.nodes_per_block > site.nodes:
            self._world.after(max(10.0, opens - self._world.now), lambda: self._start(block, walltime))
            return
        block.started = self._world.now
        self._say_state(block, "RUNNING")
        self._world.after(parse_seconds(site.start), lambda: self._connect(block))
        self._world.after(walltime or parse_seconds(site.walltime), lambda: self._walltime_over(block))

    def _connect(self, block: SimulatedBlock) -> None:
        if block.ended:
            return
        site = self._sites[block.site]
        for number in range(site.nodes_per_block):
            node = Node(f"{block.number}.{number}", block, site.workers)
            block.nodes.append(node)
            self._world.say(
                ManagerSeen(
                    executor=block.executor,
                    block=block.number,
                    manager=node.name,
                    node=node.name,
                    workers=node.workers,
                )
            )
            self.on_nodes(node)
        self.on_change()

    def _walltime_over(self, block: SimulatedBlock) -> None:
        if not block.ended:
            for node in list(block.nodes):
                self.on_lost(node)
            self._end(block, "TIMEOUT", expected=False)

    def _end(self, block: SimulatedBlock, state: str, *, expected: bool) -> None:
        if block.ended:
            return
        self._count(block)
        block.ended = True
        self.blocks.pop((block.executor, block.number), None)
        for node in block.nodes:
            self._say_lost(node)
        block.nodes = []
        self._say_end(block, state, expected=expected)
        self.on_change()

    def _count(self, block: SimulatedBlock) -> None:
        if block.started is not None:
            self.node_seconds += self._seconds(block)

    def _seconds(self, block: SimulatedBlock) -> float:
        return self._sites[block.site].nodes_per_block * (self._world.now - (block.started or 0.0))

    # --- what is said ---

    def _say_state(self, block: SimulatedBlock, state: str) -> None:
        self._world.say(
            BlockSeen(executor=block.executor, block=block.number, site=block.site, state=state, job="")
        )

    def _say_end(self, block: SimulatedBlock, state: str, *, expected: bool) -> None:
        self._world.say(
            BlockLost(
                executor=block.executor, block=block.number, site=block.site, state=state, expected=expected
            )
        )

    def _say_lost(self, node: Node) -> None:
        self._world.say(
            ManagerLost(
                executor=node.block.executor, block=node.block.number, manager=node.name, reason="lost"
            )
        )
