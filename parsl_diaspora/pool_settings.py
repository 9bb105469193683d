"""How pools are declared: which sites, and what must be held there. In Python, or in YAML under ``pool``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.hints import nearest
from parsl_diaspora.sizes import parse_seconds

MOST_AVAILABLE = 0.9999
ORPHANS = ("cancel", "report", "leave")  # from the boldest to the most careful
_SPANS = ("idle", "out_after", "connect_within", "walltime_margin")


class SiteSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked of one site: an executor's label, or ``executor/member`` of a resilient pool provider.

    Attributes:
        min_nodes: that the site must hold.
        max_nodes: that the site may hold; None for no limit of its own.
        location: sites of one location fail together (a machine room, a power line); by default each site is
            a location of its own.
        capabilities: what its nodes can do, as ``("gpu",)``.
        priority: of sites that heal as soon, the one with the highest is asked; the lowest is let go first.
        cost: of a node-hour, in any unit; of two sites that heal as soon, the cheaper one is asked.
        walltimes: spans of the blocks asked for there, as ``("1h", "4h")``, dealt so that blocks do not end
            together; empty for what its provider is set to.
    """

    min_nodes: int = 0
    max_nodes: int | None = None
    location: str = ""
    capabilities: tuple[str, ...] = ()
    priority: int = 0
    cost: float = 0.0
    walltimes: tuple[str, ...] = ()

    @property
    def most(self) -> float:
        """Nodes that it may hold."""
        return float("inf") if self.max_nodes is None else self.max_nodes

    @property
    def seconds(self) -> tuple[float, ...]:
        """Its walltimes, seconds."""
        return tuple(parse_seconds(each) for each in self.walltimes)


class PoolSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must be held whatever fails, and how far the pool may grow and shrink with the work.

    Attributes:
        sites: by name.
        min_nodes: that must be held in all, also while there is no work.
        max_nodes: that may be held in all; None for the sum of the sites' own limits.
        min_locations: over so many locations at least the nodes must be spread.
        min_nodes_per_location: that each of those must hold.
        capabilities: nodes that can do something, as ``{"gpu": 2}``.
        availability: part of the time in which what was asked for is to be held, as 0.99: so many nodes more
            are held as the losses that are seen make necessary; 0 for none.
        idle: a node that has had no work for so long is let go, as ``"2m"``.
        out_after: demand must last so long before nodes are asked for.
        connect_within: a block that runs for so long without a manager does not count any more.
        walltime_margin: a block that ends within so long counts as gone: its place is taken before. Empty for
            what a block there needs, as seen, to come to work.
        requests_per_minute: block requests to one site within any minute, at most.
        node_hours: that may be used in all; None for no limit. What is held at that point is kept to its end.
        max_cost: that may be spent in all, in the unit of the sites' ``cost``; None for no limit.
        catch_up: how many times its share of slots a restarted task is counted with, 1 for no more than
            others: while tasks that were lost draw level, the pool may be larger by that.
        orphans: what a run does at its start about blocks that dead runs of the same directory have left in
            the queues that it uses: ``cancel``, ``report`` or ``leave``.

    Example:
        >>> spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=8)}, min_nodes=4)
        >>> spec.most, spec.location("cpu")
        (8, 'cpu')
        >>> PoolSpec(sites={"cpu": SiteSpec(max_nodes=2)}, min_nodes=4)
        Traceback (most recent call last):
        parsl_diaspora.errors.SettingsError: The pool cannot be held: it needs 4 nodes in all, and its sites \
may hold 2 together. Raise a site's max_nodes, or lower min_nodes.
    """

    sites: dict[str, SiteSpec]
    min_nodes: int = 0
    max_nodes: int | None = None
    min_locations: int = 1
    min_nodes_per_location: int = 1
    capabilities: dict[str, int] = {}
    availability: float = 0.0
    idle: str = "2m"
    out_after: str = "5s"
    connect_within: str = "10m"
    walltime_margin: str = ""
    requests_per_minute: int = 6
    node_hours: float | None = None
    max_cost: float | None = None
    catch_up: float = 1.0
    orphans: str = "cancel"

    def __post_init__(self) -> None:
        _check_numbers(self)
        _check_orphans(self.orphans)
        for problem, hint in _unmet(self):
            raise SettingsError(f"The pool cannot be held: {problem}.", hint=hint)

    @property
    def most(self) -> float:
        """Nodes that it may hold in all."""
        together = sum(site.most for site in self.sites.values())
        return together if self.max_nodes is None else min(self.max_nodes, together)

    @property
    def executors(self) -> set[str]:
        """Labels of the executors whose blocks are its own."""
        return {site.partition("/")[0] for site in self.sites}

    def location(self, site: str) -> str:
        """Where a site is."""
        return self.sites[site].location or site

    @property
    def locations(self) -> dict[str, list[str]]:
        """The sites of each location."""
        found: dict[str, list[str]] = {}
        for site in self.sites:
            found.setdefault(self.location(site), []).append(site)
        return found

    def seconds(self, name: str) -> float:
        """One of its spans of time."""
        return parse_seconds(getattr(self, name))

    def check_sites(self, known: Collection[str]) -> None:
        """Refuse sites that there are not.

        Args:
            known: executors' labels, and ``label/member`` of their pool providers.

        Raises:
            SettingsError: with the nearest site that there is.
        """
        for site in self.sites:
            if site not in known:
                hint = nearest(site, known, listed="The sites are")
                raise SettingsError(f"The pool names the site {site!r}, which there is not.", hint=hint)

    def to_dict(self) -> dict[str, Any]:
        """As plain data; `PoolSpec` in `Settings` takes it back."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def _check_numbers(spec: PoolSpec) -> None:
    if not spec.sites:
        raise SettingsError("A pool needs at least one site.", hint="Write 'sites: {LABEL: {}}'.")
    for name, low in _LOWER_BOUNDS.items():
        value = getattr(spec, name)
        if value is not None and not value >= low:
            raise _wrong(f"The pool's {name!r}", f"must be at least {low:g}, not {value:g}")
    if not 0 <= spec.availability <= MOST_AVAILABLE:
        problem = f"must be from 0 to {MOST_AVAILABLE}, not {spec.availability:g}"
        raise _wrong("The pool's 'availability'", problem)
    if spec.max_nodes is not None and spec.min_nodes > spec.max_nodes:
        raise _wrong(
            "The pool's 'min_nodes'", f"is {spec.min_nodes}, above its 'max_nodes', {spec.max_nodes}"
        )
    for name in filter(spec.__getattribute__, _SPANS):
        _check_span(f"The pool's {name!r}", getattr(spec, name))
    for name, site in spec.sites.items():
        _check_site(name, site)
    for capability, count in spec.capabilities.items():
        if count < 1:
            problem = f"must be at least 1, not {count}"
            raise _wrong(f"The pool's number of nodes with {capability!r}", problem)


def _check_orphans(wish: str) -> None:
    if wish not in ORPHANS:
        raise _wrong("The pool's 'orphans'", f"must be one of {', '.join(ORPHANS)}, not {wish!r}")


def _check_site(name: str, site: SiteSpec) -> None:
    for field in ("min_nodes", "max_nodes", "cost"):
        value = getattr(site, field)
        if value is not None and not value >= 0:
            raise _wrong(f"The {field!r} of site {name!r}", f"must be at least 0, not {value:g}")
    if site.min_nodes > site.most:
        what = f"is {site.min_nodes}, above its 'max_nodes', {site.max_nodes}"
        raise _wrong(f"The 'min_nodes' of site {name!r}", what)
    for text in site.walltimes:
        if not _check_span(f"A walltime of site {name!r}", text) > 0:
            raise _wrong(f"A walltime of site {name!r}", "must be more than nothing")


def _check_span(what: str, text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise _wrong(what, f"does not fit: {str(error).rstrip('.')}") from error


def _wrong(what: str, problem: str) -> SettingsError:
    return SettingsError(f"{what} {problem}.", hint="docs/pools.md tells what a pool can ask for.")


def _unmet(spec: PoolSpec) -> Iterator[tuple[str, str]]:
    """What no set of its sites can meet."""
    minima = sum(site.min_nodes for site in spec.sites.values())
    if spec.min_nodes > spec.most:
        problem = f"it needs {_nodes(spec.min_nodes)} in all, and its sites may hold {spec.most:g} together"
        yield problem, "Raise a site's max_nodes, or lower min_nodes."
    if spec.max_nodes is not None and minima > spec.max_nodes:
        problem = f"its sites need {_nodes(minima)} together, and it may hold {spec.max_nodes} in all"
        yield problem, "Raise max_nodes, or lower a site's min_nodes."
    yield from _unmet_spread(spec)
    yield from _unmet_capabilities(spec)


def _unmet_spread(spec: PoolSpec) -> Iterator[tuple[str, str]]:
    least = spec.min_nodes_per_location
    able, together = _able(spec, least), spec.min_locations * least
    asked = f"{spec.min_locations} locations with {_nodes(least)} each"
    if spec.min_locations > len(able):
        problem = f"it must be spread over {asked}, and only {len(able)} may hold as many"
        yield (
            f"{problem}: {', '.join(able) or 'none'}",
            "Lower min_locations or min_nodes_per_location, or raise the max_nodes of sites elsewhere.",
        )
    elif spec.min_locations > 1 and together > spec.most:
        problem = f"{asked} are {_nodes(together)}, and it may hold {spec.most:g} in all"
        yield problem, "Raise max_nodes, or lower min_nodes_per_location."


def _unmet_capabilities(spec: PoolSpec) -> Iterator[tuple[str, str]]:
    for capability, count in spec.capabilities.items():
        having = [name for name, site in spec.sites.items() if capability in site.capabilities]
        most = min(sum(spec.sites[name].most for name in having), spec.most)
        if count > most:
            where = ", ".join(having) or "none"
            problem = f"it needs {_nodes(count)} with {capability!r}, and the sites that have it ({where})"
            yield f"{problem} may hold {most:g}", "Name it at further sites, or ask for fewer."


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


def _able(spec: PoolSpec, nodes: int) -> list[str]:
    """Locations that may hold so many nodes."""
    return [
        location
        for location, sites in spec.locations.items()
        if sum(spec.sites[site].most for site in sites) >= nodes
    ]


_LOWER_BOUNDS: dict[str, float] = {
    "min_nodes": 0,
    "max_nodes": 1,
    "min_locations": 1,
    "min_nodes_per_location": 1,
    "requests_per_minute": 1,
    "node_hours": 0,
    "max_cost": 0,
    "catch_up": 1,
}
