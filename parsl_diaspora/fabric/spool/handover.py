"""Handing events on to the fabric behind, until it is known that they are safe there."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, EventsLost, ServiceDegraded
from parsl_diaspora.fabric.protocols import Fabric, FlushReport, Publisher
from parsl_diaspora.fabric.stamp import Stamp, default_source

logger = logging.getLogger(__name__)

FLUSH_TIMEOUT = 5.0
PAUSE_FIRST, PAUSE_LONGEST = 0.1, 30.0
BUFFER = 100_000  # of the publisher behind; more than any batch has
_PATIENCE = 3  # flushes without any progress before the publisher behind is replaced by a new one
_REFUSALS = 3  # of one event, while the fabric took others, before it is passed over


class Handover:
    """Brings batches to safety through a publisher of the fabric behind. For one thread at a time.

    What the publisher behind still holds is not given to it a second time: it is flushed again. If that gets
    on no more, or the publisher says that it lost something, the whole batch is given to a new one.

    Args:
        inner: the fabric behind.
        clock: time for the pauses.
        chance: spreads the pauses, so that many processes do not come back at the same moment.
        flush_timeout: seconds that one flush may take.
        part: which part of the package hands on: the role under which it speaks.

    Attributes:
        refused: events that the fabric refused while it took others, and that were passed over.
        why: what went wrong last, in words.
    """

    def __init__(
        self,
        inner: Fabric,
        clock: Clock,
        chance: random.Random,
        flush_timeout: float = FLUSH_TIMEOUT,
        part: str = "spool",
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._chance = chance
        self._timeout = flush_timeout
        self._part = part
        self._publisher: Publisher | None = None
        self._given: Sequence[Event] = ()
        self._before = self._last = FlushReport(0, 0, 0)
        self._stuck = self._failures = 0
        self._refusals: Counter[str] = Counter()
        self._not_before = float("-inf")
        self.refused = 0
        self.why = ""

    def hand_on(self, events: Sequence[Event]) -> bool:
        """Try to bring the events to safety; whether they are. Returns at once during a pause.

        Call it again with the same events if they are not.
        """
        if self.pause() > 0:
            return False
        try:
            done = self._deliver(events)
        except Exception as error:  # noqa: BLE001 - whatever it is, the events stay here
            self._renew()
            done, self.why = False, f"{type(error).__name__}: {error}"
        self._note(done)
        return done

    def pause(self) -> float:
        """Seconds until another try makes sense: none once the publisher behind has got rid of all it has."""
        left = self._not_before - self._clock.monotonic()
        return 0.0 if left <= 0 or self._has_got_rid() else left

    def close(self, timeout: float = 1.0) -> None:
        """Let go of the publisher behind."""
        publisher, self._publisher, self._given = self._publisher, None, ()
        if publisher is not None:
            publisher.close(timeout)

    def _has_got_rid(self) -> bool:
        if not self._given or self._publisher is None:
            return False
        return not self._publisher.flush(0.0).waiting

    def _deliver(self, events: Sequence[Event]) -> bool:
        report = self._give(events)
        if report.waiting:
            self._wait_longer(report)
            return False
        if report.lost == self._before.lost:
            self._given = ()
            return True
        self._given = ()
        self.why = f"the fabric gave up {report.lost - self._before.lost} of {len(events)} events"
        return self._deliver_refused(events, took_some=report.safe > self._before.safe)

    def _give(self, events: Sequence[Event]) -> FlushReport:
        publisher = self._open()
        if self._given is not events:
            self._before = self._last = publisher.flush(0.0)
            self._given, self._stuck = events, 0
            for event in events:
                publisher.forward(event)
        return publisher.flush(self._timeout)

    def _open(self) -> Publisher:
        if self._publisher is None:
            self._publisher = self._inner.publisher(default_source(self._part), buffer=BUFFER)
        return self._publisher

    def _wait_longer(self, report: FlushReport) -> None:
        self.why = f"{report.waiting} events are not confirmed"
        stands = (report.safe, report.lost) == (self._last.safe, self._last.lost)
        self._stuck = self._stuck + 1 if stands else 0
        self._last = report
        if self._stuck >= _PATIENCE:
            self._renew()

    def _deliver_refused(self, events: Sequence[Event], *, took_some: bool) -> bool:
        """Find the one event that is refused. If none is taken at all, the fabric is down."""
        if len(events) > 1:
            suspect = took_some or self._failures >= _REFUSALS
            return suspect and all(self._deliver([event]) for event in events)
        return self._is_hopeless(events[0], took_some=took_some)

    def _is_hopeless(self, event: Event, *, took_some: bool) -> bool:
        """Whether the fabric has refused this one event several times while it took others."""
        if not (took_some or self._takes(ServiceDegraded(part=self._part, why=f"{event.kind} is refused"))):
            return False
        self._refusals[event.id] += 1
        if self._refusals[event.id] < _REFUSALS:
            return False
        logger.warning("The fabric %s refuses an event of kind %r.", self._inner.url, event.kind)
        self.refused += 1
        return took_some or self._takes(EventsLost(run=event.run, count=1, why=f"{event.kind} was refused"))

    def _takes(self, word: Event) -> bool:
        """Whether the fabric takes an event of ours: if not, no other event is to blame."""
        report = self._give([Stamp(default_source(self._part))(word)])
        self._given = ()
        return not report.waiting and report.lost == self._before.lost

    def _note(self, done: bool) -> None:
        if done:
            self._failures, self.why = 0, ""
            self._refusals.clear()
            return
        longest = min(PAUSE_LONGEST, PAUSE_FIRST * 2 ** min(self._failures, 20))
        self._failures += 1
        self._not_before = self._clock.monotonic() + longest * self._chance.uniform(0.5, 1.0)

    def _renew(self) -> None:
        self._stuck = 0
        with suppress(Exception):  # it is given up: whatever its end is like, nobody waits for it
            self.close(0.5)
