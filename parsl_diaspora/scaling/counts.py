"""What a pool holds beside what it should hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.quantiles import LONG
from parsl_diaspora.scaling.supply import Block, Supply

#: How many nodes more than asked for some sites should hold together.
Spare = Callable[[tuple[str, ...]], int]

IN_ALL, AT_SITE, LOCATIONS, FOR_WORK = "nodes in all", "nodes at the site", "locations", "nodes for the work"


class Count(msgspec.Struct):
    """Nodes of one site.

    Attributes:
        held: that work.
        coming: that have been asked for, and may be expected.
        paid: of all blocks there, those that are about to go included.
        overdue: that wait in the queue for much longer than others did: nobody counts on them.
    """

    held: int = 0
    coming: int = 0
    paid: int = 0
    overdue: int = 0

    @property
    def had(self) -> int:
        """Nodes that there are, or will be."""
        return self.held + self.coming


class Deficit(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a pool should hold and does not.

    Attributes:
        what: as ``nodes in all``.
        site: where, if it is about one.
        wanted: how many there should be.
        held: how many there are.
        coming: how many have been asked for.
        missing: how many must be asked for yet, spare ones included.
        helps: sites of which any further node makes it smaller.
        catching_up: restarted tasks because of which more is wanted, so that they draw level with the others.
    """

    what: str
    site: str = ""
    wanted: int
    held: int
    coming: int = 0
    missing: int = 0
    helps: tuple[str, ...] = ()
    catching_up: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others."""
        return self.what, self.site

    @property
    def is_felt(self) -> bool:
        """Whether there is less than was asked for, not only fewer spare ones."""
        return self.held < self.wanted


def count(spec: PoolSpec, supply: Supply, forecast: Forecast, now: float) -> dict[str, Count]:
    """The nodes of each site of a pool.

    Args:
        spec: of the pool.
        supply: its blocks.
        forecast: of when blocks work that do not yet.
        now: seconds UTC.
    """
    counts = {site: Count() for site in spec.sites}
    patience = spec.seconds("connect_within")
    for block in supply:
        if (found := counts.get(block.site)) is None:
            continue
        found.paid += block.nodes
        if block.draining or block.end - now <= _lead(spec, forecast, block.site):
            continue
        held = min(block.nodes, len(supply.working(block)))
        found.held += held
        if forecast.is_overdue(block, now):
            found.overdue += block.nodes
        elif _may_come(block, now, patience):
            found.coming += block.nodes - held
    return counts


def _lead(spec: PoolSpec, forecast: Forecast, site: str) -> float:
    """Seconds before a block's end from which on its nodes do not count: another needs as long to come."""
    if spec.walltime_margin:
        return spec.seconds("walltime_margin")
    return forecast.ready(site, LONG) or 0.0


def _may_come(block: Block, now: float, patience: float) -> bool:
    """Whether nodes of a block that do not work may be expected to: one that waits in a queue always may."""
    return not block.running or now - max(block.running, block.short_since or 0.0) < patience


def deficits(
    spec: PoolSpec,
    counts: Mapping[str, Count],
    for_work: Mapping[str, int],
    spare: Spare,
    catching_up: Mapping[str, int] | None = None,
) -> list[Deficit]:
    """What is lacking, what must be met first before the rest.

    Args:
        spec: what should be held.
        counts: nodes by site.
        for_work: nodes that the work asks for, by executor.
        spare: how many nodes more than asked for some sites should hold together.
        catching_up: restarted tasks because of which the work asks for more, by executor.
    """
    every = (*floors(spec, counts, spare), *_for_work(spec, counts, for_work, catching_up or {}))
    return [deficit for deficit in every if deficit.is_felt or deficit.missing]


def floors(spec: PoolSpec, counts: Mapping[str, Count], spare: Spare) -> Iterator[Deficit]:
    """All that must be held whatever the work is, lacking or not."""
    for site, asked in spec.sites.items():
        yield _together(AT_SITE, asked.min_nodes, (site,), counts, spare, site=site)
    for capability, wanted in spec.capabilities.items():
        having = tuple(site for site, asked in spec.sites.items() if capability in asked.capabilities)
        yield _together(f"nodes with {capability}", wanted, having, counts, spare)
    yield _spread(spec, counts, spare)
    yield _together(IN_ALL, spec.min_nodes, tuple(spec.sites), counts, spare)


def _together(
    what: str,
    wanted: int,
    sites: tuple[str, ...],
    counts: Mapping[str, Count],
    spare: Spare,
    *,
    site: str = "",
) -> Deficit:
    held, coming = sum(counts[each].held for each in sites), sum(counts[each].coming for each in sites)
    more = spare(sites) if wanted else 0
    return Deficit(
        what=what,
        site=site,
        wanted=wanted,
        held=held,
        coming=coming,
        missing=max(0, wanted + more - held - coming),
        helps=sites,
    )


def _spread(spec: PoolSpec, counts: Mapping[str, Count], spare: Spare) -> Deficit:
    """Locations that hold enough nodes: none need to, where no node is asked for at all."""
    least = spec.min_nodes_per_location
    wanted = spec.min_locations if spec.min_locations > 1 or spec.min_nodes else 0
    held = coming = enough = 0
    helps: list[str] = []
    for sites in spec.locations.values():
        here = sum(counts[site].held for site in sites)
        had = sum(counts[site].had for site in sites)
        held += here >= least
        coming += here < least <= had
        if had >= least + spare(tuple(sites)):
            enough += 1
        else:
            helps += sites
    missing = max(0, wanted - enough) if wanted > 1 else max(0, wanted - held - coming)
    return Deficit(
        what=LOCATIONS, wanted=wanted, held=held, coming=coming, missing=missing, helps=tuple(helps)
    )


def _for_work(
    spec: PoolSpec, counts: Mapping[str, Count], for_work: Mapping[str, int], catching_up: Mapping[str, int]
) -> Iterator[Deficit]:
    for executor, wanted in for_work.items():
        sites = tuple(site for site in spec.sites if executor_of(site) == executor)
        most = min(sum(spec.sites[site].most for site in sites), spec.most)
        found = _together(FOR_WORK, int(min(wanted, most)), sites, counts, no_spare)
        yield msgspec.structs.replace(found, catching_up=catching_up.get(executor, 0))


def no_spare(sites: tuple[str, ...]) -> int:
    """Nothing beyond what is asked for."""
    return 0


def executor_of(site: str) -> str:
    """The executor whose blocks are at a site.

    Example:
        >>> executor_of("cpu/debug"), executor_of("cpu")
        ('cpu', 'cpu')
    """
    return site.partition("/")[0]
