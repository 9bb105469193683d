"""How many nodes the work asks for, executor by executor, and whether further ones would come in time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.counts import Count, executor_of
from parsl_diaspora.scaling.demand import Demand
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.sites import Offer
from parsl_diaspora.scaling.supply import Supply
from parsl_diaspora.scaling.trend import Trend


class Work:
    """The nodes that an executor's tasks ask for, over time.

    Args:
        spec: of the pool.
        demand: the tasks.
        supply: the blocks, whose managers tell how many workers a node has.
    """

    def __init__(self, spec: PoolSpec, demand: Demand, supply: Supply) -> None:
        self._spec = spec
        self._demand = demand
        self._supply = supply
        self._idle, self._out_after = spec.seconds("idle"), spec.seconds("out_after")
        self._trends: dict[str, Trend] = {}

    def look(self, now: float, offers: Mapping[str, Offer]) -> None:
        """Take note of what is asked for now."""
        for executor in {executor_of(site) for site in self._spec.sites}:
            slots = self._demand.slots(executor, self._spec.catch_up)
            nodes = math.ceil(slots / self.workers(executor, offers))
            self._trends.setdefault(executor, Trend(self._idle + self._out_after)).note(now, nodes)

    def catching_up(self) -> dict[str, int]:
        """Restarted tasks that nodes are asked for beyond their share, by executor."""
        if self._spec.catch_up <= 1:
            return {}
        executors = {executor_of(site) for site in self._spec.sites}
        return {executor: self._demand.restarted(executor) for executor in executors}

    def workers(self, executor: str, offers: Mapping[str, Offer]) -> int:
        """Tasks that a node of an executor runs at once."""
        present = self._supply.picture.present.get(executor)
        if present:
            return max(1, round(self._supply.picture.workers.get(executor, 0) / len(present)))
        told = [offer.workers_per_node for offer in offers.values() if offer.executor == executor]
        return max([1, *told])

    def lasting(
        self, now: float, counts: Mapping[str, Count], forecast: Forecast, offers: Mapping[str, Offer]
    ) -> dict[str, int]:
        """Nodes worth asking for, by executor: the demand has lasted, and they would come before it ends."""
        found: dict[str, int] = {}
        for executor, trend in self._trends.items():
            wanted = trend.least(now, self._out_after)
            had = sum(each.had for site, each in counts.items() if executor_of(site) == executor)
            if wanted > had and self._ends_sooner(executor, counts, forecast, offers):
                wanted = had
            found[executor] = wanted
        return found

    def lately(self, now: float) -> dict[str, int]:
        """The most nodes that were asked for while a node may idle, by executor."""
        return {executor: trend.most(now, self._idle) for executor, trend in self._trends.items()}

    def _ends_sooner(
        self, executor: str, counts: Mapping[str, Count], forecast: Forecast, offers: Mapping[str, Offer]
    ) -> bool:
        """Whether the nodes that there are end all work before a further one could begin."""
        sites = [site for site in self._spec.sites if executor_of(site) == executor]
        slots = sum(counts[site].held for site in sites) * self.workers(executor, offers)
        seconds = self._demand.seconds(executor)
        ready = [took for site in sites if (took := forecast.ready(site)) is not None]
        if not slots or seconds is None or not ready:
            return False
        return seconds / slots < min(ready)
