"""For which part of the time a pool held what it should, as its events tell."""

from __future__ import annotations

from collections.abc import Mapping

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.counts import Count, floors, no_spare


class HeldShare:
    """Adds up the time in which all that must be held was.

    Args:
        spec: what must be held.

    Attributes:
        first: when it was for the first time, seconds; None if it never was.
        heals: seconds of each time in which something was lacking after that.
        lacking_since: when what is lacking now began to be; None if nothing is.

    Example:
        >>> from parsl_diaspora.pool_settings import SiteSpec
        >>> share = HeldShare(PoolSpec(sites={"cpu": SiteSpec()}, min_nodes=2))
        >>> for at, nodes in [(0.0, 1), (10.0, 2), (20.0, 1), (25.0, 2)]:
        ...     share.look(at, {"cpu": Count(held=nodes)})
        >>> share.part(30.0), share.first, share.heals
        (0.75, 10.0, [5.0])
    """

    def __init__(self, spec: PoolSpec) -> None:
        self._spec = spec
        self._since = self._held = 0.0
        self.first: float | None = None
        self.heals: list[float] = []
        self.lacking_since: float | None = None

    def look(self, now: float, counts: Mapping[str, Count]) -> None:
        """Nodes have come or gone."""
        holds = not any(each.is_felt for each in floors(self._spec, counts, no_spare))
        if self.first is None:
            if holds:
                self.first = self._since = now
            return
        self._add(now)
        if holds and self.lacking_since is not None:
            self.heals.append(now - self.lacking_since)
            self.lacking_since = None
        elif not holds and self.lacking_since is None:
            self.lacking_since = now

    def part(self, now: float) -> float:
        """Of the time since it was held for the first time; 0 if it never was."""
        if self.first is None:
            return 0.0
        self._add(now)
        return self._held / (now - self.first) if now > self.first else 1.0

    def _add(self, now: float) -> None:
        if self.lacking_since is None:
            self._held += now - self._since
        self._since = now
