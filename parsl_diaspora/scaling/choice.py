"""Which site is asked, and for how long: where it heals soonest, spread by place, fit to the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.counts import Count
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.sites import Offer

AS_SOON = 30.0  # seconds by which two sites may differ and count as equally quick
UNKNOWN_WAIT = 60.0  # seconds that a site of which nothing is known is taken to need


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A site that may be asked.

    Attributes:
        site: its name.
        expected: seconds until a block asked for now should work; None if nobody knows.
        nearby: nodes that its location has, or will have.
        cost: of a node-hour.
        priority: the highest first.
    """

    site: str
    expected: float | None
    nearby: int
    cost: float
    priority: int = 0

    @property
    def soon(self) -> float:
        """Seconds to compare by."""
        return UNKNOWN_WAIT if self.expected is None else self.expected


def candidate(
    site: str, spec: PoolSpec, counts: Mapping[str, Count], forecast: Forecast, offer: Offer
) -> Candidate:
    """What speaks for a site."""
    nearby = sum(counts[each].had for each in spec.locations[spec.location(site)])
    fits = any(hole.nodes >= offer.nodes_per_block for hole in offer.holes)
    expected = forecast.start(site) if fits else forecast.ready(site)
    asked = spec.sites[site]
    return Candidate(site=site, expected=expected, nearby=nearby, cost=asked.cost, priority=asked.priority)


def choose(candidates: Sequence[Candidate]) -> tuple[Candidate, str]:
    """The best of them, and why.

    The quickest; of those as quick by priority, then where fewest nodes are, then the cheapest.

    Example:
        >>> near = Candidate(site="near", expected=10.0, nearby=3, cost=1.0)
        >>> far = Candidate(site="far", expected=20.0, nearby=0, cost=1.0)
        >>> slow = Candidate(site="slow", expected=900.0, nearby=0, cost=0.0)
        >>> chosen, why = choose([near, far, slow])
        >>> chosen.site, why
        ('far', 'fewest nodes are there (0) of those that heal as soon (near, far); slow would take 900 s')
    """
    quickest = min(each.soon for each in candidates)
    quick = [each for each in candidates if each.soon <= quickest + AS_SOON]
    best = min(quick, key=lambda each: (-each.priority, each.nearby, each.cost, each.soon, each.site))
    return best, _why(best, quick, candidates)


def _why(best: Candidate, quick: Sequence[Candidate], candidates: Sequence[Candidate]) -> str:
    if len(candidates) == 1:
        return "it is the only one that may be asked now"
    names = ", ".join(each.site for each in quick)
    why = f"fewest nodes are there ({best.nearby}) of those that heal as soon ({names})"
    if best.priority > min(each.priority for each in quick):
        why = f"it has the highest priority ({best.priority}) of those that heal as soon ({names})"
    if len(quick) == 1:
        why = "it heals soonest" + ("" if best.expected is None else f", in {best.expected:.0f} s")
    slow = [f"{each.site} would take {each.soon:.0f} s" for each in candidates if each not in quick]
    return "; ".join([why, *slow])


class Walltimes:
    """Deals the walltimes of each site so that its blocks do not end together.

    Example:
        >>> walltimes = Walltimes()
        >>> offer = Offer(executor="cpu")
        >>> [walltimes.next("cpu", (60.0, 120.0), offer, None) for _ in range(3)]
        [60.0, 120.0, 60.0]
    """

    def __init__(self) -> None:
        self._dealt: dict[str, int] = {}

    def next(
        self, site: str, choices: Sequence[float], offer: Offer, longest_task: float | None
    ) -> float | None:
        """How long the next block there should run, seconds; None for what its provider is set to.

        The longest that fits a hole of the queue, if there is one; else the next in turn. One in which no
        task of the slowest app would end is left out, as long as there are others.
        """
        long_enough = [each for each in choices if each > (longest_task or 0.0)] or list(choices)
        if not long_enough:
            return None
        holes = [hole.seconds for hole in offer.holes if hole.nodes >= offer.nodes_per_block]
        fitting = [each for each in long_enough if any(each <= seconds for seconds in holes)]
        if fitting and len(fitting) < len(long_enough):
            return max(fitting)
        turn = self._dealt.get(site, 0)
        self._dealt[site] = turn + 1
        return long_enough[turn % len(long_enough)]
