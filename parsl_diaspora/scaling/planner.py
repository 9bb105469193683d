"""What to ask for: decided from what is held, what should be, and what is to be expected."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.budget import Budget
from parsl_diaspora.scaling.choice import Walltimes, candidate, choose
from parsl_diaspora.scaling.counts import Count, Deficit, Spare, deficits, executor_of, no_spare
from parsl_diaspora.scaling.demand import Demand
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.pace import Pace
from parsl_diaspora.scaling.sites import Offer


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One block to be asked for.

    Attributes:
        site: where.
        nodes: that it has.
        walltime: seconds; None for what the site's provider is set to.
        expected: seconds until it should work; None if nobody knows.
        reason: in words.
    """

    site: str
    nodes: int
    walltime: float | None
    expected: float | None
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is lacking, and what is done about it.

    Attributes:
        deficits: what is lacking now, before anything is asked for.
        requests: blocks to be asked for.
        obstacles: why nothing more is asked for, by deficit, in words.
    """

    deficits: tuple[Deficit, ...] = ()
    requests: tuple[Request, ...] = ()
    obstacles: dict[tuple[str, str], str] = {}


class Planner:
    """Decides what to ask for.

    Args:
        spec: what should be held.
        forecast: what is known of the sites' ways.
        demand: the tasks, of which the longest decides on walltimes.
        budget: what may be used.
        seed: of the waits after failures.

    Attributes:
        paces: of each site.
    """

    def __init__(
        self, spec: PoolSpec, forecast: Forecast, demand: Demand, budget: Budget, seed: int | None = None
    ) -> None:
        self._spec = spec
        self._forecast = forecast
        self._demand = demand
        self._budget = budget
        self._walltimes = Walltimes()
        rng = random.Random(seed)
        self.paces = {site: Pace(spec.requests_per_minute, rng) for site in spec.sites}

    def plan(
        self,
        now: float,
        counts: dict[str, Count],
        for_work: Mapping[str, int],
        offers: Mapping[str, Offer],
        *,
        spare: Spare = no_spare,
        catching_up: Mapping[str, int] | None = None,
    ) -> Plan:
        """What to do now.

        Args:
            now: seconds UTC.
            counts: nodes by site; they are changed to what they are after the requests.
            for_work: nodes that the work is worth, by executor.
            offers: what each site can be asked for.
            spare: nodes more than asked for.
            catching_up: restarted tasks because of which the work is worth more, by executor.
        """

        def lacking() -> list[Deficit]:
            return deficits(self._spec, counts, for_work, spare, catching_up)

        felt = tuple(each for each in lacking() if each.is_felt)
        requests: list[Request] = []
        obstacles: dict[tuple[str, str], str] = {}
        while deficit := _next(lacking(), obstacles):
            request = self._request(deficit, now, counts, offers, obstacles)
            if request is not None:
                requests.append(request)
        return Plan(deficits=felt, requests=tuple(requests), obstacles=obstacles)

    def _request(
        self,
        deficit: Deficit,
        now: float,
        counts: dict[str, Count],
        offers: Mapping[str, Offer],
        obstacles: dict[tuple[str, str], str],
    ) -> Request | None:
        barred = {site: self._bar(site, now, counts, offers) for site in deficit.helps}
        open_sites = [site for site, why in barred.items() if not why]
        if not open_sites:
            obstacles[deficit.key] = "; ".join(f"{site}: {why}" for site, why in barred.items())
            return None
        found = [candidate(site, self._spec, counts, self._forecast, offers[site]) for site in open_sites]
        chosen, why = choose(found)
        offer = offers[chosen.site]
        self.paces[chosen.site].asked(now)
        counts[chosen.site].coming += offer.nodes_per_block
        counts[chosen.site].paid += offer.nodes_per_block
        walltime = self._walltimes.next(
            chosen.site,
            self._spec.sites[chosen.site].seconds,
            offer,
            self._demand.longest(executor_of(chosen.site)),
        )
        self._budget.commit(chosen.site, offer.nodes_per_block, walltime)
        return Request(
            site=chosen.site,
            nodes=offer.nodes_per_block,
            walltime=walltime,
            expected=chosen.expected,
            reason=f"{_lack(deficit)}; {why}",
        )

    def _bar(self, site: str, now: float, counts: Mapping[str, Count], offers: Mapping[str, Offer]) -> str:
        """Why a site is not asked; empty if it may be."""
        return next(self._bars(site, now, counts, offers), "")

    def _bars(
        self, site: str, now: float, counts: Mapping[str, Count], offers: Mapping[str, Offer]
    ) -> Iterator[str]:
        offer, spec = offers.get(site), self._spec
        if offer is None:
            yield "it is not there"
            return
        nodes = offer.nodes_per_block
        if counts[site].paid + nodes > spec.sites[site].most:
            yield f"it may hold {spec.sites[site].most:g} nodes and has {counts[site].paid}"
        in_all = sum(each.paid for each in counts.values())
        if in_all + nodes > spec.most:
            yield f"the pool may hold {spec.most:g} nodes and has {in_all}"
        if counts[site].overdue:
            yield f"{counts[site].overdue} nodes wait in its queue for much longer than others did"
        if why := self._budget.bar(site, nodes):
            yield why
        if offer.opens_in > 0:
            yield offer.why or f"it may be asked again in {offer.opens_in:.0f} s"
        if (wait := self.paces[site].opens_in(now)) > 0:
            yield f"it is asked again in {wait:.0f} s"


def _next(lacking: Sequence[Deficit], obstacles: Mapping[tuple[str, str], str]) -> Deficit | None:
    """The first thing that is lacking and about which something may be done."""
    return next((each for each in lacking if each.missing and each.key not in obstacles), None)


def _lack(deficit: Deficit) -> str:
    where = f" {deficit.site}" if deficit.site else ""
    coming = f", {deficit.coming} are coming" if deficit.coming else ""
    spare = "" if deficit.is_felt else "; one to spare, as nodes are lost here"
    tasks = f"{deficit.catching_up} restarted task{'' if deficit.catching_up == 1 else 's'}"
    level = f", as {tasks} may draw level" if deficit.catching_up else ""
    return f"{deficit.what}{where}: {deficit.held} of {deficit.wanted}{coming}{level}{spare}"
