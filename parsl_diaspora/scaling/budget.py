"""What a pool may use: node-hours, and their cost."""

from __future__ import annotations

from collections.abc import Mapping

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.supply import Supply

HOUR = 3600.0


class Budget:
    """What was used, and what is bound to be.

    Args:
        spec: with the limits.

    Attributes:
        node_hours: used, and committed.
        cost: of these.
    """

    def __init__(self, spec: PoolSpec) -> None:
        self._spec = spec
        self.node_hours = 0.0
        self.cost = 0.0

    def look(self, supply: Supply, now: float) -> None:
        """Count anew: what was used, and what blocks with a known end may still use."""
        seconds = dict(supply.node_seconds(now))
        for block in supply:
            if block.walltime and not block.draining:
                left = block.end - now if block.running else block.walltime
                seconds[block.site] = seconds.get(block.site, 0.0) + block.nodes * max(0.0, left)
        self._set(seconds)

    def _set(self, node_seconds: Mapping[str, float]) -> None:
        self.node_hours = sum(node_seconds.values()) / HOUR
        self.cost = sum(seconds / HOUR * self._cost(site) for site, seconds in node_seconds.items())

    def commit(self, site: str, nodes: int, walltime: float | None) -> None:
        """A block is asked for."""
        hours = nodes * (walltime or 0.0) / HOUR
        self.node_hours += hours
        self.cost += hours * self._cost(site)

    def bar(self, site: str, nodes: int) -> str:
        """Why no further block may be asked for at a site; empty if it may."""
        limits = self._spec.node_hours, self._spec.max_cost
        if limits[0] is not None and self.node_hours >= limits[0]:
            return f"the budget of {limits[0]:g} node-hours is used or committed"
        if limits[1] is not None and self._cost(site) and self.cost >= limits[1]:
            return f"the budget of {limits[1]:g} for costs is used or committed"
        return ""

    def _cost(self, site: str) -> float:
        known = self._spec.sites.get(site)
        return known.cost if known is not None else 0.0
