"""The blocks that there are, folded from events: asked for, running, with how many nodes that work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from parsl_diaspora.events import (
    BlockDraining,
    BlockLost,
    BlockRequested,
    BlockSeen,
    Event,
    ManagerSeen,
)
from parsl_diaspora.scaling.sites import Whereabouts
from parsl_diaspora.scaling.spares import Losses
from parsl_diaspora.state import Picture
from parsl_diaspora.state.surroundings import RUNNING

PENDING = "PENDING"
Key = tuple[str, str]  # executor, block


class Block(msgspec.Struct):
    """One block that has not ended.

    Attributes:
        executor: label.
        block: id within the executor.
        site: where it is.
        nodes: that it has, or will have.
        asked: when it was asked for, seconds UTC.
        running: when it was first seen to run, seconds UTC; 0 if it has not been.
        walltime: seconds that it may run; None if nobody knows.
        managers: that ever connected from it.
        connected: when the first of them did, seconds UTC; 0 if none has.
        draining: why it gets no new work; empty while it does.
        idle_since: since when none of its nodes has had work, seconds UTC; None while one has.
        short_since: since when it has had fewer working nodes than it should, seconds UTC; None while it has
            all of them.
        working: nodes that worked at the last look.
    """

    executor: str
    block: str
    site: str
    nodes: int = 1
    asked: float = 0.0
    running: float = 0.0
    walltime: float | None = None
    managers: set[str] = msgspec.field(default_factory=set)
    connected: float = 0.0
    draining: str = ""
    idle_since: float | None = None
    short_since: float | None = None
    working: int = 0

    @property
    def key(self) -> Key:
        """What tells it from other blocks."""
        return self.executor, self.block

    @property
    def end(self) -> float:
        """When its time is over, seconds UTC; infinite if nobody knows."""
        return self.running + self.walltime if self.running and self.walltime else float("inf")


class Usage(msgspec.Struct):
    """What was used of one site by blocks that have ended.

    Attributes:
        node_seconds: of nodes, from a block's start to its end.
    """

    node_seconds: float = 0.0


class Supply:
    """The blocks of one run.

    Args:
        picture: of the run, which knows the managers.
        whereabouts: tells of a block that somebody else asked for, by executor and the provider's job id.
        nodes_per_block: by site, for blocks that somebody else asked for.

    Attributes:
        blocks: those that have not ended.
        used: by site, of those that have.
        losses: of nodes that worked.

    Example:
        >>> supply = Supply(Picture("r1"), lambda executor, job: Whereabouts(executor))
        >>> supply.fold(BlockSeen(executor="cpu", block="0", state="RUNNING", time=10.0))
        >>> [(block.site, block.running) for block in supply]
        [('cpu', 10.0)]
    """

    def __init__(
        self,
        picture: Picture,
        whereabouts: Callable[[str, str], Whereabouts],
        nodes_per_block: Mapping[str, int] | None = None,
    ) -> None:
        self.picture = picture
        self.blocks: dict[Key, Block] = {}
        self.used: dict[str, Usage] = {}
        self.losses = Losses(picture.first_time)
        self._whereabouts = whereabouts
        self._nodes_per_block = nodes_per_block or {}
        self._ended: dict[Key, None] = {}

    def __iter__(self) -> Iterator[Block]:
        return iter(list(self.blocks.values()))

    def fold(self, event: Event) -> None:
        """Take note of an event about a block; those of other kinds change nothing."""
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    def look(self, now: float) -> None:
        """Take note of blocks that have come to be idle, or short of nodes, or are not any more."""
        for block in self:
            working = len(self.working(block))
            if not block.draining:
                self._note_losses(block, block.working - working, now)
            block.working = working
            block.idle_since = None if self.tries_on(block) else block.idle_since or now
            block.short_since = None if working >= block.nodes else block.short_since or now

    def _note_losses(self, block: Block, nodes: int, at: float) -> None:
        for _ in range(nodes):
            self.losses.note(block.site, at)

    # --- questions ---

    def working(self, block: Block) -> list[str]:
        """The managers of a block that are there, well, and get work."""
        present = self.picture.present.get(block.executor, ())
        return [name for name in block.managers if name in present]

    def tries_on(self, block: Block) -> int:
        """Tries that run on a block."""
        managers = self.picture.managers
        return sum(len(managers[name].running) for name in block.managers if name in managers)

    def node_seconds(self, now: float) -> dict[str, float]:
        """Used so far, by site."""
        used = {site: usage.node_seconds for site, usage in self.used.items()}
        for block in self:
            if block.running:
                used[block.site] = used.get(block.site, 0.0) + block.nodes * (now - block.running)
        return used

    # --- folds ---

    def _block(self, event: Event, job: str = "") -> Block | None:
        key = event.executor or "", event.block or ""
        if key in self._ended:
            return None
        if (block := self.blocks.get(key)) is None:
            known = self._whereabouts(key[0], job)
            site = event.site or known.site
            nodes = self._nodes_per_block.get(site, 1)
            block = Block(key[0], key[1], site, nodes=nodes, asked=event.time, walltime=known.walltime)
            self.blocks[key] = block
        return block

    def _requested(self, event: BlockRequested) -> None:
        if (block := self._block(event)) is not None:
            block.site = event.site or block.site
            block.nodes, block.asked = event.nodes, min(block.asked, event.time)
            block.walltime = event.walltime or block.walltime

    def _seen(self, event: BlockSeen) -> None:
        block = self._block(event, event.job)
        if block is None:
            return
        if event.state == RUNNING and not block.running:
            block.running = event.time
        elif event.state == PENDING and block.running:  # its job was put back into the queue
            block.asked, block.running, block.connected = event.time, 0.0, 0.0

    def _manager_seen(self, event: ManagerSeen) -> None:
        if event.block is None or event.manager is None or (block := self._block(event)) is None:
            return
        block.managers.add(event.manager)
        block.connected = block.connected or event.time
        block.running = block.running or event.time  # the scheduler says so later

    def _draining(self, event: BlockDraining) -> None:
        if (block := self._block(event)) is not None:
            block.draining = event.reason or "asked"

    def _lost(self, event: BlockLost) -> None:
        key = event.executor or "", event.block or ""
        block = self.blocks.pop(key, None)
        self._ended[key] = None
        if block is None:
            return
        usage = self.used.setdefault(block.site, Usage())
        if block.running:
            usage.node_seconds += block.nodes * max(0.0, event.time - block.running)
        if not event.expected and not block.draining:
            self._note_losses(block, block.working, event.time)


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    BlockRequested: Supply._requested,
    BlockSeen: Supply._seen,
    BlockLost: Supply._lost,
    BlockDraining: Supply._draining,
    ManagerSeen: Supply._manager_seen,
}

#: Kinds that are folded.
BLOCK_EVENTS = frozenset(_FOLDS)
