"""Stragglers get a second copy elsewhere: which of them, and how many at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from parsl_diaspora.executors.pool.work import Work
from parsl_diaspora.scaling.durations import Durations

SAMPLES = 10  # tries of a function that have to have ended before any is called a straggler
SLACK = 1.5  # times the quantile: a little later than most is no straggler
SOONEST = 1.0  # seconds: a second copy of a shorter task costs more than it brings


class Straggler(NamedTuple):
    """A piece of work that takes too long.

    Attributes:
        work: that it is.
        after: seconds that it has been running.
        usual: seconds within which most have ended.
    """

    work: Work
    after: float
    usual: float


class Hedging:
    """Finds work that deserves a second copy.

    Args:
        quantile: part of a function's tries that have ended sooner than a straggler, 0 to 1.
        share: of all work that may get a second copy; at least one may.
        durations: how long functions take.
    """

    def __init__(self, quantile: float, share: float, durations: Durations) -> None:
        self._quantile = quantile
        self._share = share
        self._durations = durations
        self.given = 0
        self.hedged = 0

    @property
    def may(self) -> bool:
        """Whether one more copy stays within the share."""
        return self._share > 0 and self.hedged < max(1.0, self._share * self.given)

    def stragglers(self, works: Iterable[Work], now: float) -> list[Straggler]:
        """Those that may get a copy, the latest first.

        Args:
            works: that have not ended.
            now: monotonic seconds.
        """
        if not self.may:
            return []
        usual: dict[str, float | None] = {}
        found = [each for work in works if (each := self._straggler(work, now, usual)) is not None]
        return sorted(found, key=lambda each: each.usual - each.after)

    def _straggler(self, work: Work, now: float, known: dict[str, float | None]) -> Straggler | None:
        live = work.live
        if not work.options.idempotent or work.hedged or work.over or work.withdrawn or len(live) != 1:
            return None
        (attempt,) = live
        if attempt.since is None:
            return None
        after = now - attempt.since
        if after < SOONEST:
            return None
        if work.key not in known:
            known[work.key] = self._durations.quantile(work.key, self._quantile, least=SAMPLES)
        usual = known[work.key]
        if usual is None or after < usual * SLACK:
            return None
        return Straggler(work, after, usual)
