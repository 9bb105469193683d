"""The parts of a spool, put together: one log, one backlog, one forwarder, one keeper."""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import msgspec

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, ServiceDegraded
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.protocols import Fabric
from parsl_diaspora.fabric.spool.backlog import Backlog
from parsl_diaspora.fabric.spool.forwarder import Forwarder
from parsl_diaspora.fabric.spool.handover import Handover
from parsl_diaspora.fabric.spool.keeper import Keeper
from parsl_diaspora.fabric.spool.lag import LagWatch
from parsl_diaspora.fabric.spool.offers import Offers
from parsl_diaspora.fabric.spool.owners import Owners
from parsl_diaspora.fabric.spool.publisher import SpoolPublisher
from parsl_diaspora.fabric.spool.room import Room
from parsl_diaspora.fabric.stamp import default_source

logger = logging.getLogger(__name__)

_BATCH_BYTES = 1024 * 1024
_ROLL_LARGEST = 16 * 1024 * 1024
_ROLL_SHARE = 16  # segments that fill the limit: events are dropped a segment at a time
_HUNG = 4.0  # flush timeouts after which a forwarder counts as hung
_REPLACEMENTS = 3  # forwarders that take the place of a hung one in the life of a spool
_STOP = 1.0  # seconds to wait for the forwarder when it is to stop
_DRAIN_LOOK = 0.005
_VOICE_BUFFER = 1000


class SpoolReport(msgspec.Struct, frozen=True):
    """How a spool stands.

    Attributes:
        waiting: events that are not handed on yet, on the local disk and in memory.
        used: bytes of all segments and of large events on the local disk.
        forwarded: events that this process handed on from the disk.
        direct: events that went past the disk, because it could not be written.
        dropped: events that were dropped to keep the limit, by topic; each is said in an `EventsLost`.
        refused: events that the fabric behind refused while it took others.
        faults: own faults that were absorbed.
        lagging: whether too many events wait, or for too long.
        why: what went wrong last with the fabric behind; empty if it takes events.
    """

    waiting: int
    used: int
    forwarded: int
    direct: int
    dropped: dict[str, int]
    refused: int
    faults: int
    lagging: bool
    why: str


class Spool:
    """What all publishers of one `SpooledFabric` share. Its threads begin with the first publisher."""

    def __init__(
        self,
        inner: Fabric,
        directory: Path,
        *,
        limit_bytes: int,
        drop_order: Sequence[str],
        lag_events: int,
        lag_seconds: float,
        flush_timeout: float,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._inner = inner
        self.directory = directory
        self._limit = limit_bytes
        self._order = drop_order
        self._lag = lag_events, lag_seconds
        self._flush_timeout = flush_timeout
        self._clock = clock
        self._chance = chance
        self.roll_bytes = min(_ROLL_LARGEST, max(1, limit_bytes // _ROLL_SHARE))
        self.begin_life()
        renew_after_fork(self)

    def begin_life(self, *, closed: bool = False) -> None:
        """Start without threads and with counters at zero: at first, and in a forked child."""
        self._lock, self._entering = threading.RLock(), threading.Lock()
        self.owners = Owners(self.directory)
        self.backlog = Backlog(self.directory, self.owners, min(_BATCH_BYTES, self.roll_bytes))
        self.offers = Offers()
        self._publishers: weakref.WeakSet[SpoolPublisher] = weakref.WeakSet()
        self.room = Room(self.directory, self.backlog, self._limit, self.roll_bytes, self._order)
        self._watch = LagWatch(*self._lag)
        self._forwarders: list[Forwarder] = []  # the last one is at work; those before it hang, or hung
        self._keeper: Keeper | None = None
        self._voice: SpoolPublisher | None = None
        self._unwritable = ""
        self._replaced = 0
        self._unsaid: list[Event] = []
        self.closed = closed

    def enter(self, publisher: SpoolPublisher, boot: str) -> None:
        """A publisher begins to write under this boot."""
        self.owners.add(boot)
        with self._entering:
            self._publishers.add(publisher)

    def run(self) -> None:
        """Begin to hand on, if that has not begun and the spool is not closed."""
        if self._keeper is not None or self.closed:
            return
        with self._lock:
            if self._keeper is None:
                self._begin_forwarder()
                self._keeper = Keeper(self._look, self._clock)
                self._keeper.start()

    def admit(self, more: int, timeout: float) -> bool:
        """Whether so many bytes may be written to the disk; if it is short, room is made."""
        if self._keeper is not None and self.room.used() + more > self.room.comfortable:
            self._keeper.wake()
        return self.room.admit(more, timeout)

    def wake(self) -> None:
        """There is something to hand on."""
        self.run()
        if self._forwarders:
            self._forwarders[-1].wake()

    def degrade(self, error: OSError) -> None:
        """The local disk cannot be written. Said once."""
        if self._unwritable:
            return
        self._unwritable = error.strerror or str(error)
        why = f"{self.directory} cannot be written ({self._unwritable}); events go straight to the fabric"
        logger.warning("The spool %s %s.", why, self._inner.url)
        self._unsaid.append(ServiceDegraded(part="spool", why=why))
        self.run()

    def waiting(self) -> int:
        """Events that are not handed on yet, on the disk and in the memory of the publishers."""
        with self._entering:
            publishers = list(self._publishers)
        in_memory = sum(publisher.report().waiting for publisher in publishers)
        return in_memory + self.backlog.waiting()

    def report(self) -> SpoolReport:
        """How it stands."""
        forwarders = self._forwarders
        return SpoolReport(
            waiting=self.waiting(),
            used=self.room.used(),
            forwarded=sum(one.forwarded for one in forwarders),
            direct=sum(one.direct for one in forwarders),
            dropped=dict(self.room.dropped),
            refused=sum(one.handover.refused for one in forwarders),
            faults=sum(one.faults for one in forwarders) + (self._keeper.faults if self._keeper else 0),
            lagging=self._watch.lagging,
            why=forwarders[-1].handover.why if forwarders else "",
        )

    def drain(self, timeout: float) -> bool:
        """Wait until nothing waits; whether that came to be."""
        deadline = time.monotonic() + timeout
        while waiting := self.waiting():
            if time.monotonic() >= deadline:
                break
            self.wake()
            time.sleep(_DRAIN_LOOK)
        return not waiting

    def close(self, timeout: float) -> None:
        """Hand on what can be in time, then stop. The rest stays on the disk for a later process."""
        with self._lock:
            if self.closed or self._keeper is None:
                return
            self._keeper.stop(1.0)
            if self._voice is not None:
                self._voice.close(0.5)
            self.drain(timeout)
            self.closed = True
            self._stop_forwarder()
            self._keeper = self._voice = None

    def _begin_forwarder(self) -> None:
        handover = Handover(self._inner, self._clock, self._chance, self._flush_timeout)
        forwarder = Forwarder(self.backlog, self.offers, handover, self._clock)
        self._forwarders.append(forwarder)
        forwarder.start()

    def _stop_forwarder(self) -> None:
        if self._forwarders[-1].stop(_STOP):
            self._forwarders[-1].handover.close()
            self.backlog.tidy()

    def _look(self) -> None:
        """What the keeper does each time."""
        self._replace_hung()
        lagged = self._look_at_lag()
        unsaid, self._unsaid = self._unsaid, []
        self._say([*unsaid, *([lagged] if lagged else [])])
        self.room.make()
        self._say(self.room.say())

    def _look_at_lag(self) -> Event | None:
        forwarder = self._forwarders[-1]
        now, why = self._clock.monotonic(), forwarder.handover.why
        lagged = self._watch.look(self.waiting(), forwarder.moved, now, why)
        if lagged is not None:
            words = "has caught up" if lagged.over else f"takes too little: {lagged.waiting} events wait"
            logger.warning("The fabric %s %s (%s).", self._inner.url, words, lagged.why)
        return lagged

    def _replace_hung(self) -> None:
        """A call that never returns keeps its thread; a new one takes its place."""
        busy = self._forwarders[-1].busy_since
        hung = busy is not None and time.monotonic() - busy > _HUNG * self._flush_timeout
        if hung and self._replaced < _REPLACEMENTS:
            self._replaced += 1
            logger.warning("The fabric %s hangs; a new connection is tried.", self._inner.url)
            self._forwarders[-1].abandon()
            self._begin_forwarder()

    def _say(self, events: Sequence[Event]) -> None:
        if not events:
            return
        if self._voice is None:
            self._voice = SpoolPublisher(self, default_source("spool"), _VOICE_BUFFER)
        for event in events:
            self._voice.publish(event)
