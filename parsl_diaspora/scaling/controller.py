"""The pool controller: holds what a pool should, whatever fails, and lets go what nobody needs.

It knows what events tell, decides on it, acts through `Sites`, and says each decision with its reason. The
same code runs in a program, where its sites are Parsl's executors, and in the simulator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache

import msgspec

from parsl_diaspora.events import (
    BlockDraining,
    BlockLost,
    BlockRefused,
    BlockReleased,
    BlockRequested,
    Event,
)
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.budget import HOUR, Budget
from parsl_diaspora.scaling.choice import UNKNOWN_WAIT
from parsl_diaspora.scaling.counts import Count, Spare, count
from parsl_diaspora.scaling.demand import TRY_EVENTS, Demand
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.lacks import Lacks
from parsl_diaspora.scaling.letting_go import Interruptible, LetGo, LettingGo, RunsToItsEnd
from parsl_diaspora.scaling.planner import Planner, Request
from parsl_diaspora.scaling.sites import Offer, Refused, Sites
from parsl_diaspora.scaling.spares import spares
from parsl_diaspora.scaling.supply import BLOCK_EVENTS, Supply
from parsl_diaspora.scaling.work import Work
from parsl_diaspora.state import Picture

PERIOD = 2.0  # seconds between two steps

#: Kinds of events that it folds; the others tell it nothing.
HEEDED = frozenset({*BLOCK_EVENTS, *TRY_EVENTS})


class Controller:
    """Holds one pool.

    Args:
        spec: what is to be held.
        sites: where blocks come from.
        picture: of the run; folded by whoever owns it, before `fold` is called.
        say: publishes an event, and folds it.
        interruptible: what the end of running tries costs.
        seed: of the waits after failures.

    Attributes:
        supply: the blocks.
        demand: the tasks.
        forecast: what is to be expected.
        budget: what was used.
    """

    def __init__(
        self,
        spec: PoolSpec,
        sites: Sites,
        picture: Picture,
        say: Callable[[Event], object],
        *,
        interruptible: Interruptible | None = None,
        seed: int | None = None,
    ) -> None:
        self.spec = spec
        self._sites = sites
        self._say = say
        self._nodes_per_block: dict[str, int] = {}
        self.supply = Supply(picture, sites.whereabouts, self._nodes_per_block)
        self.demand = Demand()
        self.forecast = Forecast()
        self.budget = Budget(spec)
        self._work = Work(spec, self.demand, self.supply)
        self._planner = Planner(spec, self.forecast, self.demand, self.budget, seed)
        self._lacks = Lacks(say)
        self._interruptible = interruptible or RunsToItsEnd()
        self._letting_go = LettingGo(spec, self.supply, self._interruptible)
        self._drained: dict[tuple[str, str], float] = {}
        self._connected: set[tuple[str, str]] = set()

    def fold(self, event: Event) -> None:
        """Take in an event of the run."""
        if type(event) is BlockLost:
            self._note_end(event)
        self.supply.fold(event)
        self.demand.fold(event)

    def step(self, now: float) -> None:
        """Look, decide, act.

        Args:
            now: seconds UTC.
        """
        offers = self._known(self._sites.offers())
        self._nodes_per_block.update({site: offer.nodes_per_block for site, offer in offers.items()})
        self._look(now, offers)
        counts = count(self.spec, self.supply, self.forecast, now)
        spare = self._spare(now)
        for_work = self._work.lasting(now, counts, self.forecast, offers)
        plan = self._planner.plan(
            now, counts, for_work, offers, spare=spare, catching_up=self._work.catching_up()
        )
        for request in plan.requests:
            self._ask(request, offers[request.site], now)
        self._lacks.look(plan, now, self.expected)
        self._let_go(now, counts, spare)

    def expected(self, helps: tuple[str, ...], now: float) -> float | None:
        """Seconds until the next node of one of these sites should work; None if nobody knows."""
        waiting = [block for block in self.supply if block.site in helps and not block.draining]
        left = [self.forecast.left(block, now) for block in waiting if not self.supply.working(block)]
        return min((each for each in left if each is not None), default=None)

    def _known(self, offers: Mapping[str, Offer]) -> dict[str, Offer]:
        """Executors with blocks of which nobody has heard yet, as their first ones, are asked for none."""
        known = Counter(block.executor for block in self.supply)
        why = "not all of its blocks are known yet"
        return {
            site: msgspec.structs.replace(offer, opens_in=max(PERIOD, offer.opens_in), why=offer.why or why)
            if known[offer.executor] < offer.blocks
            else offer
            for site, offer in offers.items()
        }

    def _spare(self, now: float) -> Spare:
        """Spare nodes by sites, as losses are now; the same question is asked often within one step."""

        @cache
        def spare(sites: tuple[str, ...]) -> int:
            ready = [took for site in sites if (took := self.forecast.ready(site)) is not None]
            heals_in = min(ready, default=UNKNOWN_WAIT) + PERIOD
            return spares(self.supply.losses.rate(sites, now), heals_in, self.spec.availability)

        return spare

    def _look(self, now: float, offers: Mapping[str, Offer]) -> None:
        self.supply.look(now)
        self.forecast.look(self.supply)
        self.budget.look(self.supply, now)
        self._work.look(now, offers)
        connected = {block.key: block.site for block in self.supply if block.connected}
        for key in connected.keys() - self._connected:  # once a block: those that work on say nothing new
            if (pace := self._planner.paces.get(connected[key])) is not None:
                pace.worked()
        self._connected = set(connected)

    def _note_end(self, event: BlockLost) -> None:
        """A block that ended before any of its nodes worked is a failed request."""
        key = event.executor or "", event.block or ""
        self._drained.pop(key, None)
        block = self.supply.blocks.get(key)
        if block is None or block.connected or event.expected or block.site not in self._planner.paces:
            return
        self._planner.paces[block.site].failed(event.time)

    def _ask(self, request: Request, offer: Offer, now: float) -> None:
        try:
            granted = self._sites.request(request.site, walltime=request.walltime)
        except Refused as refusal:
            again = self._planner.paces[request.site].failed(now, refusal.again)
            refused = BlockRefused(message=refusal.message, again=again)
            refused.site, refused.executor = request.site, offer.executor
            self._say(refused)
            return
        asked = BlockRequested(
            nodes=request.nodes,
            walltime=granted.walltime or request.walltime,
            reason=request.reason,
            expected=request.expected,
        )
        asked.site, asked.executor, asked.block = request.site, offer.executor, granted.block
        self._say(asked)

    # --- what goes ---

    def _let_go(self, now: float, counts: Mapping[str, Count], spare: Spare) -> None:
        unneeded = self._letting_go.choose(now, counts, self._work.lately(now), spare)
        for each in (*self._letting_go.ending(now, self.demand), *unneeded):
            if each.drain:
                self._drain(each, now)
            else:
                self._release(each, now)
        for each in self._letting_go.done(now, self._drained):
            self._release(each, now)

    def _drain(self, each: LetGo, now: float) -> None:
        block = each.block
        block.draining = each.reason
        self._drained[block.key] = now
        self._sites.drain(block.executor, block.block, each.reason)
        running = self.supply.tries_on(block)
        draining = BlockDraining(reason=each.reason, running=running)
        draining.site, draining.executor, draining.block = block.site, block.executor, block.block
        self._say(draining)
        if each.leave:
            self._interruptible.ask_to_save(block)

    def _release(self, each: LetGo, now: float) -> None:
        block = each.block
        try:
            self._sites.release(block.executor, block.block, each.reason)
        except Refused:
            return  # something runs there yet: the next step looks again
        self._drained.pop(block.key, None)
        block.draining = block.draining or each.reason
        hours = block.nodes * (now - block.running) / HOUR if block.running else 0.0
        released = BlockReleased(reason=each.reason, node_hours=hours, running=self.supply.tries_on(block))
        released.site, released.executor, released.block = block.site, block.executor, block.block
        self._say(released)
