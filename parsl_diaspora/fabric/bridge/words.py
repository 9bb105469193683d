"""What a bridge says of itself: lag, and faults of its own."""

from __future__ import annotations

import logging
from contextlib import suppress

from parsl_diaspora.events import Event, FabricLagged
from parsl_diaspora.fabric.protocols import Fabric, Publisher
from parsl_diaspora.fabric.spool.lag import LAG_EVENTS, LAG_SECONDS, LagWatch
from parsl_diaspora.fabric.stamp import default_source

logger = logging.getLogger(__name__)


class Voice:
    """Publishes on a fabric, and keeps quiet where it cannot: the log of the program has it, too."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._publisher: Publisher | None = None

    def say(self, event: Event) -> bool:
        """Publish an event; whether the fabric has a publisher for it."""
        try:
            if self._publisher is None:
                self._publisher = self._fabric.publisher(default_source("bridge"))
            self._publisher.publish(event)
        except Exception as error:  # noqa: BLE001 - a word that cannot be said stops no event
            logger.warning("A bridge cannot speak on %s: %s", self._fabric.url, error)
            return False
        return True

    def close(self, timeout: float) -> None:
        """Flush and stop."""
        if self._publisher is not None:
            with suppress(Exception):  # the bridge has ended all the same
                self._publisher.close(timeout)
            self._publisher = None


class Lag:
    """Says once that events wait, and once more when that is over.

    That the target does not take them is said on the source, where they wait; that the source cannot be read
    is said on the target.
    """

    def __init__(
        self,
        source: Voice,
        target: Voice,
        events: int = LAG_EVENTS,
        seconds: float = LAG_SECONDS,
    ) -> None:
        self._source, self._target = source, target
        self._behind = LagWatch(events, seconds)
        self._away = LagWatch(2**62, seconds)

    @property
    def lagging(self) -> bool:
        """Whether an episode is on."""
        return self._behind.lagging or self._away.lagging

    def look(self, waiting: int, moved: float, now: float, why: str) -> None:
        """Take note of how many events wait for the target."""
        if (word := self._behind.look(waiting, moved, now, why)) is not None:
            self._say(self._source, self._target, word)

    def look_at_source(self, away_since: float | None, waiting: int, now: float, why: str) -> None:
        """Take note of whether the source can be read."""
        away = away_since is not None
        moved = away_since if away_since is not None else now
        word = self._away.look(max(1, waiting) if away else 0, moved, now, f"the source: {why}")
        if word is not None:
            self._say(self._target, self._source, word)

    def _say(self, best: Voice, other: Voice, word: FabricLagged) -> None:
        logger.warning("A bridge %s: %s", "has caught up" if word.over else "lags", word.why)
        if not best.say(word):
            other.say(word)
