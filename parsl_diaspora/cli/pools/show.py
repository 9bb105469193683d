"""What a run's pool holds, lacks and has used, folded from its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.output import heading, pairs, table
from parsl_diaspora.cli.words import count as count_words
from parsl_diaspora.cli.words import duration
from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import (
    BlockDraining,
    BlockLost,
    BlockRefused,
    BlockReleased,
    BlockRequested,
    Event,
    ManagerEnded,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    PoolDeficitHealed,
    PoolDeficitSeen,
    RunStarted,
)
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.budget import HOUR
from parsl_diaspora.scaling.counts import Count, count
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.held import HeldShare
from parsl_diaspora.scaling.quantiles import LONG, TYPICAL
from parsl_diaspora.scaling.sites import Whereabouts, site_of
from parsl_diaspora.scaling.supply import BLOCK_EVENTS, Supply
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Picture
from parsl_diaspora.state.reading import Reading

#: Kinds of events that change what is held.
_CHANGES = (BlockDraining, BlockLost, ManagerEnded, ManagerLost, ManagerSeen, NodeLost)


class SiteShown(msgspec.Struct, kw_only=True):
    """One site of a pool.

    Attributes:
        site: its name.
        least: nodes that it must hold.
        most: that it may hold; None for no limit.
        held: that work.
        coming: that were asked for.
        overdue: that wait for much longer than others did.
        wait: seconds that half of its blocks have waited at most; None if none has run.
        long_wait: seconds that nine of ten have waited at most.
        asked: blocks asked for.
        refused: requests that were.
        node_hours: used.
    """

    site: str
    least: int
    most: int | None
    held: int
    coming: int
    overdue: int
    wait: float | None
    long_wait: float | None
    asked: int
    refused: int
    node_hours: float


class PoolShown(msgspec.Struct, kw_only=True):
    """A run's pool.

    Attributes:
        run: Parsl's run id.
        ended: the run has.
        least: nodes in all that must be held.
        most: that may be held; None for no limit.
        sites: one by one.
        lacking: what is, with its cause, since when.
        held: part of the time since it was first held in which it was.
        first_held: seconds from the run's start until then; None if it never was.
        healed: seconds of each time in which something was lacking after that.
        released: blocks given back.
        killed: tries that ran on them then.
    """

    run: str
    ended: bool
    least: int
    most: float | None
    sites: list[SiteShown]
    lacking: list[dict[str, Any]]
    held: float
    first_held: float | None
    healed: list[float]
    released: int
    killed: int


def show(found: Found) -> PoolShown:
    """Fold a run's log.

    Raises:
        NotFound: the run has no pool.
    """
    log = _Log(found.run)
    for event in Reading(found.fabric):
        log.fold(event)
    return log.shown(found.fabric.url)


class _Log:
    def __init__(self, run: str) -> None:
        self._picture = Picture(run)
        self._supply = Supply(self._picture, self._whereabouts)
        self._forecast = Forecast()
        self._asked: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._lacking: dict[tuple[str, str], PoolDeficitSeen] = {}
        self._spec: PoolSpec | None = None
        self._held: HeldShare | None = None
        self._released = self._killed = 0

    def fold(self, event: Event) -> None:
        if event.run != self._picture.run:
            return
        self._picture.fold(event)
        self._supply.fold(event)
        if type(event) in BLOCK_EVENTS:
            self._forecast.look(self._supply)
        if isinstance(event, RunStarted):
            self._begin(event)
        elif self._spec is not None and self._held is not None and isinstance(event, _CHANGES):
            self._held.look(event.time, count(self._spec, self._supply, self._forecast, event.time))
        if isinstance(event, BlockRequested):
            self._asked[event.site or ""] = self._asked.get(event.site or "", 0) + 1
        elif isinstance(event, BlockRefused):
            self._refused[event.site or ""] = self._refused.get(event.site or "", 0) + 1
        elif isinstance(event, PoolDeficitSeen):
            self._lacking[event.what, event.site or ""] = event
        elif isinstance(event, PoolDeficitHealed):
            self._lacking.pop((event.what, event.site or ""), None)
        elif isinstance(event, BlockReleased):
            self._released += 1
            self._killed += event.running

    def shown(self, where: str) -> PoolShown:
        spec, held, now = self._spec, self._held, self._picture.last_time
        if spec is None or held is None:
            hint = "A pool is declared by resilient(config, pool=...): see docs/pools.md."
            raise NotFound(f"Run {self._picture.run} has no pool.", what="pool", where=where, hint=hint)
        counts = count(spec, self._supply, self._forecast, now)
        used = self._supply.node_seconds(now)
        return PoolShown(
            run=self._picture.run,
            ended=self._picture.ended is not None,
            least=spec.min_nodes,
            most=None if spec.most == float("inf") else spec.most,
            sites=[self._site(site, spec, counts[site], used.get(site, 0.0)) for site in spec.sites],
            lacking=[_lack(event, now) for event in self._lacking.values()],
            held=held.part(self._end),
            first_held=None if held.first is None else held.first - self._picture.first_time,
            healed=held.heals,
            released=self._released,
            killed=self._killed,
        )

    @property
    def _end(self) -> float:
        """What happens to nodes as a run ends is no loss."""
        ended = self._picture.ended
        return ended.time if ended is not None else self._picture.last_time

    def _whereabouts(self, executor: str, job: str) -> Whereabouts:
        return Whereabouts(executor if self._spec is None else site_of(self._spec, executor, job))

    def _begin(self, event: RunStarted) -> None:
        if pool := event.settings.get("pool"):
            self._spec = Settings.from_dict({"pool": pool}, where=f"run {event.run}").pool
        if self._spec is not None:
            self._held = HeldShare(self._spec)

    def _site(self, site: str, spec: PoolSpec, here: Count, used: float) -> SiteShown:
        return SiteShown(
            site=site,
            least=spec.sites[site].min_nodes,
            most=spec.sites[site].max_nodes,
            held=here.held,
            coming=here.coming,
            overdue=here.overdue,
            wait=self._forecast.wait(site, TYPICAL),
            long_wait=self._forecast.wait(site, LONG),
            asked=self._asked.get(site, 0),
            refused=self._refused.get(site, 0),
            node_hours=used / HOUR,
        )


def _lack(event: PoolDeficitSeen, now: float) -> dict[str, Any]:
    return {
        "what": event.what,
        "site": event.site,
        "wanted": event.wanted,
        "held": event.held,
        "because": event.because,
        "expected": event.expected,
        "for": now - event.time,
        "message": event.message,
    }


# --- text ---


def render_pool(found: PoolShown, out: Console) -> None:
    """Print a run's pool."""
    out.print(Text(f"Pool of run {found.run}" + (", as it ended" if found.ended else ""), style="bold"))
    out.print(pairs(_facts(found)))
    heading(out, "Sites")
    titles = (
        "site",
        "held",
        "coming",
        "least",
        "most",
        "half wait",
        "most wait",
        "asked",
        "refused",
        "hours",
    )
    out.print(table(titles, [_row(site) for site in found.sites], numbers=titles[1:]))
    if found.lacking:
        heading(out, "Lacking")
        rows = [
            (
                each["what"],
                each["site"] or "",
                f"{each['held']} of {each['wanted']}",
                each["because"],
                _why(each),
            )
            for each in found.lacking
        ]
        out.print(table(("what", "site", "held", "because", "in words"), rows, wrapped=("in words",)))


def _facts(found: PoolShown) -> Iterator[tuple[str, object]]:
    most = "any number" if found.most is None else f"{found.most:g}"
    held = sum(site.held for site in found.sites)
    yield "nodes", f"{held} held; {found.least} at least, {most} at most"
    if found.first_held is None:
        yield "targets", "never held"
    else:
        yield "targets", f"held {found.held:.2%} of the time after the first {duration(found.first_held)}"
    if found.healed:
        yield (
            "healed",
            f"{count_words(len(found.healed), 'time')}, the longest after {duration(max(found.healed))}",
        )
    yield "let go", f"{found.released} blocks; {found.killed} tries ran on them"


def _row(site: SiteShown) -> tuple[object, ...]:
    coming = f"{site.coming} ({site.overdue} late)" if site.overdue else site.coming
    return (
        site.site,
        site.held,
        coming,
        site.least,
        "any" if site.most is None else site.most,
        "" if site.wait is None else duration(site.wait),
        "" if site.long_wait is None else duration(site.long_wait),
        site.asked,
        site.refused,
        f"{site.node_hours:.2f}",
    )


def _why(lack: dict[str, Any]) -> str:
    expected = lack["expected"]
    until = "" if expected is None else f" Expected in {duration(expected)}."
    return f"{lack['message']}{until}"
