"""Which blocks go: those that nobody needs, one by one, and never with work on them.

A block that is let go is drained first: it gets no new work, what runs there ends, and only then it is given
back. What an interruption would cost is asked of `Interruptible`, so that a task that can save itself may be
asked to, and moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from typing import Protocol

import msgspec

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.counts import Count, Spare, executor_of, floors, no_spare
from parsl_diaspora.scaling.demand import Demand
from parsl_diaspora.scaling.supply import Block, Supply

_FITS = "the work has room on the other nodes, and what runs here can save itself"
NEARLY_ALL = 0.9  # part of its time that a block has before it when it has just begun
SETTLE = 5.0  # seconds for which a drained block must be without tries: word of one may be on its way


class Interruptible(Protocol):
    """What the end of a running try costs. Tasks with checkpoints give better answers than `RunsToItsEnd`."""

    def cost(self, block: Block) -> float | None:
        """Seconds of work lost if the block went now; None if it must not go before its tasks have ended."""
        ...

    def ask_to_save(self, block: Block) -> None:
        """Ask the tasks of a block that is to go to save themselves and end."""
        ...


class RunsToItsEnd:
    """No try can be interrupted: each runs to its end."""

    def cost(self, block: Block) -> float | None:
        """Nothing may be lost, so there is no price."""
        return None

    def ask_to_save(self, block: Block) -> None:
        """Nobody would hear it."""


class LetGo(msgspec.Struct, frozen=True, kw_only=True):
    """A block that goes.

    Attributes:
        block: which.
        drain: it works, and is drained first; otherwise it can be given back at once.
        reason: in words.
        leave: what runs there is asked to save itself and go on elsewhere; otherwise it runs to its end.
    """

    block: Block
    drain: bool
    reason: str
    leave: bool = False


class LettingGo:
    """Decides what is let go.

    Args:
        spec: what must be held.
        supply: the blocks.
        interruptible: knows what the end of running tries costs.
    """

    def __init__(self, spec: PoolSpec, supply: Supply, interruptible: Interruptible | None = None) -> None:
        self._spec = spec
        self._supply = supply
        self._interruptible = interruptible or RunsToItsEnd()
        self._idle = spec.seconds("idle")

    def choose(
        self,
        now: float,
        counts: Mapping[str, Count],
        lately: Mapping[str, int],
        spare: Spare = no_spare,
    ) -> Iterator[LetGo]:
        """Blocks that nobody has needed for as long as a node may idle.

        Of those that work, one at a time, where all tries can save themselves: what runs there has room on
        the others. The one goes whose interruption costs least.

        Args:
            now: seconds UTC.
            counts: nodes by site; not changed.
            lately: the most nodes that the work has asked for in that time, by executor.
            spare: nodes more than asked for that are to be held.
        """
        counts = {site: copy(each) for site, each in counts.items()}
        for block in sorted(self._spare(now), key=self._order):
            if block.site in counts and self._is_unneeded(block, counts, lately, spare):
                _take_away(block, counts, self._supply)
                yield LetGo(block=block, drain=bool(block.running), reason=self._reason(block, now))
        for block in self._cheapest(now):
            if block.site in counts and self._is_unneeded(block, counts, lately, spare):
                yield LetGo(block=block, drain=True, reason=_FITS, leave=True)
                return

    def _cheapest(self, now: float) -> list[Block]:
        """Blocks with work that can be interrupted, the cheapest first; none while another one is left."""
        if any(block.draining and self._supply.tries_on(block) for block in self._supply):
            return []
        priced = [
            (cost, block)
            for block in self._supply
            if not block.draining
            and block.running
            and now - block.running >= self._idle
            and self._supply.tries_on(block)
            and (cost := self._interruptible.cost(block)) is not None
        ]
        return [block for _, block in sorted(priced, key=lambda each: (each[0], each[1].end))]

    def ending(self, now: float, demand: Demand) -> Iterator[LetGo]:
        """Blocks that end before any task that waits could: their nodes get none that would be lost.

        A block that has just begun is left alone: what no block has time for is best begun early.
        """
        for block in self._supply:
            shortest = demand.shortest(block.executor)
            left = block.end - now
            if block.draining or shortest is None or left >= shortest:
                continue
            if left < (block.walltime or 0.0) * NEARLY_ALL:
                why = f"it ends in {left:.0f} s, and no task that waits takes less than {shortest:.0f} s"
                yield LetGo(block=block, drain=True, reason=why)

    def done(self, now: float, since: Mapping[tuple[str, str], float]) -> Iterator[LetGo]:
        """Drained blocks on which nothing runs any more.

        Args:
            now: seconds UTC.
            since: when each block was drained, seconds UTC.
        """
        for block in self._supply:
            drained = since.get(block.key)
            if drained is None or self._supply.tries_on(block):
                continue
            idle = block.idle_since if block.idle_since is not None else now
            if now - max(drained, idle) >= SETTLE:
                yield LetGo(block=block, drain=False, reason=block.draining)

    def _spare(self, now: float) -> list[Block]:
        return [
            block
            for block in self._supply
            if not block.draining
            and block.idle_since is not None
            and now - max(block.idle_since, block.running or block.asked) >= self._idle
        ]

    def _order(self, block: Block) -> tuple[bool, int, float, float]:
        """Those that wait in a queue first, then by priority, cost, and how soon they end anyway."""
        site = self._spec.sites.get(block.site)
        priority, cost = (site.priority, site.cost) if site is not None else (0, 0.0)
        return bool(block.running), priority, -cost, block.end

    def _is_unneeded(
        self, block: Block, counts: Mapping[str, Count], lately: Mapping[str, int], spare: Spare
    ) -> bool:
        executor = block.executor
        here = sum(each.had for site, each in counts.items() if executor_of(site) == executor)
        if here - block.nodes < lately.get(executor, 0):
            return False
        before = {each.key: each.missing for each in floors(self._spec, counts, spare)}
        left = {site: copy(each) for site, each in counts.items()}
        _take_away(block, left, self._supply)
        return all(each.missing <= before[each.key] for each in floors(self._spec, left, spare))

    def _reason(self, block: Block, now: float) -> str:
        idle = now - max(block.idle_since or now, block.running or block.asked)
        what = "it has had no work" if block.running else "it has waited in the queue, unneeded,"
        return f"{what} for {idle:.0f} s, and the pool holds what it should without it"


def _take_away(block: Block, counts: Mapping[str, Count], supply: Supply) -> None:
    """Nodes that work are not held any more; the rest of them do not come any more."""
    held = min(block.nodes, len(supply.working(block)))
    counts[block.site].held -= held
    counts[block.site].coming = max(0, counts[block.site].coming - (block.nodes - held))
