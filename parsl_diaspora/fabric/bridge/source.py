"""Reading the fabric that a bridge starts from, which may be away for a while."""

from __future__ import annotations

import random
import time
from contextlib import suppress

from parsl_diaspora.clock import Clock
from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.protocols import Consumer, Fabric, Start

PAUSE_FIRST, PAUSE_LONGEST = 0.1, 30.0
_SHARE = 0.02  # of the time that may go into looking how many events wait: a backend may have to count them
_LOOK = 1.0  # seconds between two such looks at least


class Source:
    """A named consumer that is opened when it can be, and opened anew after a fault: at its last commit.

    Args:
        fabric: where it reads.
        name: of the consumer.
        start: where it begins without a committed position.
        clock: time for the pauses.
        chance: spreads the pauses.

    Attributes:
        why: why it cannot be read, in words; empty while it can.
        away_since: since when, on the clock's monotonic time; None while it can.

    Raises:
        FabricError: this fabric can never be read, or not under this name.
    """

    def __init__(self, fabric: Fabric, name: str, start: Start, clock: Clock, chance: random.Random) -> None:
        self._fabric = fabric
        self._name = name
        self._start = start
        self._clock = clock
        self._chance = chance
        self._consumer: Consumer | None = None
        self._failures = 0
        self._not_before = float("-inf")
        self._lag = self._skipped = 0
        self._look_at = float("-inf")
        self.why = ""
        self.away_since: float | None = None
        with suppress(FabricUnavailable):
            self._open()

    def poll(self, timeout: float, limit: int) -> list[Event] | None:
        """Events not yet polled; None if it cannot be read now: what was not committed comes again."""
        if self.pause() > 0:
            return None
        try:
            events = self._open().poll(timeout, limit)
        except Exception as error:  # noqa: BLE001 - whatever it is, the events are still there
            self._fail(error)
            return None
        if self.away_since is not None:
            self._failures, self.why, self.away_since = 0, "", None
        if not events:
            self._lag = 0
        return events

    def commit(self) -> bool:
        """Keep the position; whether it is kept. If not, a later commit covers it."""
        try:
            self._open().commit()
        except Exception as error:  # noqa: BLE001 - at worst events are sent again
            self.why = f"its position cannot be kept: {error}"
            return False
        if self.away_since is None:
            self.why = ""
        return True

    def pause(self) -> float:
        """Seconds until another try makes sense."""
        return max(0.0, self._not_before - self._clock.monotonic())

    def lag(self) -> int:
        """About how many events are not polled yet, as it was at the last look."""
        now = time.monotonic()
        if self._consumer is None or now < self._look_at:
            return self._lag
        with suppress(Exception):  # the number of the last look is as good as any
            self._lag = self._consumer.lag()
        took = time.monotonic() - now
        self._look_at = now + max(_LOOK, took / _SHARE)
        return self._lag

    def skipped(self) -> int:
        """Damaged or vanished stretches that were passed over."""
        return self._skipped + (self._consumer.skipped() if self._consumer is not None else 0)

    def reopen(self) -> None:
        """Go back to the last commit."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            self._skipped += consumer.skipped()
            with suppress(Exception):  # it is given up
                consumer.close()

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = self._fabric.consumer(self._name, start=self._start)
        return self._consumer

    def _fail(self, error: Exception) -> None:
        now = self._clock.monotonic()
        self.why = str(error) or type(error).__name__
        self.away_since = now if self.away_since is None else self.away_since
        longest = min(PAUSE_LONGEST, PAUSE_FIRST * 2 ** min(self._failures, 20))
        self._failures += 1
        self._not_before = now + longest * self._chance.uniform(0.5, 1.0)
        self.reopen()
