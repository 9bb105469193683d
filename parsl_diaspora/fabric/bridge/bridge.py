"""The bridge: reads one fabric, forwards to another, and moves on only behind what is safe there."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Collection

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import Event, ServiceDegraded
from parsl_diaspora.fabric.bridge.identity import fabric_id, pair_id
from parsl_diaspora.fabric.bridge.loops import MOST_HOPS, Crossing
from parsl_diaspora.fabric.bridge.portions import portions
from parsl_diaspora.fabric.bridge.reduction import Reduction
from parsl_diaspora.fabric.bridge.selection import Filter, Selection
from parsl_diaspora.fabric.bridge.source import Source
from parsl_diaspora.fabric.bridge.status import BridgeStatus
from parsl_diaspora.fabric.bridge.target import Target
from parsl_diaspora.fabric.bridge.words import Lag, Voice
from parsl_diaspora.fabric.protocols import Fabric, Start
from parsl_diaspora.fabric.spool.handover import Handover
from parsl_diaspora.fabric.spool.lag import LAG_EVENTS, LAG_SECONDS

logger = logging.getLogger(__name__)

BATCH = 10_000  # events read at once
FLUSH_TIMEOUT = 2.0
IDLE = 0.25  # seconds that a look for new events waits for the first
STOP_TIMEOUT = 5.0
DRAIN_TIMEOUT = 10.0
_AFTER_FAULT = 1.0


class Bridge:
    """Carries events from one fabric to another, at least once, in order per source.

    A batch is read, forwarded and flushed, and only when the target has confirmed it the position on the
    source is committed. Killed anywhere, it sends again what is not committed; readers know it by its id.
    While either side is away it keeps its place and tries again.

    Args:
        source: the fabric to read.
        target: the fabric to forward to.
        name: of the consumer on the source; by default one made of the ids of both fabrics.
        topics: whose events go on; None for all.
        wants: whether an event of these topics goes on; None for all.
        reduce: a rule for samples, as ``last:10s``, ``stats:30s`` or ``net``, or a `Reduction`.
        start: where it begins the first time.
        ids: of source and target, where those that `fabric_id` finds do not do.
        most_hops: bridges that an event may cross.
        lag_events: waiting events that are said to be lag, if they stay.
        lag_seconds: the same for the time in which none was forwarded, although some waited.
        clock: time for pauses, windows and what is said of lag.
        chance: spreads the pauses.

    Raises:
        FabricError: an argument is out of its range, both fabrics are one, or the source cannot be read ever.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> site, everywhere = open_fabric("memory:"), open_fabric("memory:")
        >>> site.publisher("me").publish(RunEnded(done=3))
        >>> with Bridge(site, everywhere) as bridge:
        ...     bridge.drain()
        True
        >>> [event.done for event in everywhere.consumer("you").poll()]
        [3]
        >>> bridge.status().forwarded
        1
    """

    def __init__(
        self,
        source: Fabric,
        target: Fabric,
        *,
        name: str = "",
        topics: Collection[str] | None = None,
        wants: Filter | None = None,
        reduce: str | Reduction | None = None,
        start: Start = "earliest",
        ids: tuple[str, str] | None = None,
        most_hops: int = MOST_HOPS,
        lag_events: int = LAG_EVENTS,
        lag_seconds: float = LAG_SECONDS,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._ids = ids or (fabric_id(source), fabric_id(target))
        if self._ids[0] == self._ids[1]:
            hint = "If they are two, tell them apart by ids of your own (--ids)."
            raise FabricError("A bridge needs two fabrics, not one.", url=source.url, hint=hint)
        self.name = name or pair_id(*self._ids)
        self._from, self._to = source, target
        self._clock = clock or SystemClock()
        chance = chance or random.Random()
        self._crossing = Crossing(*self._ids, most_hops)
        self._selection = Selection(topics, wants, Reduction(reduce) if isinstance(reduce, str) else reduce)
        self._source = Source(source, self.name, start, self._clock, chance)
        self._handover = Handover(Target(target, self.name), self._clock, chance, FLUSH_TIMEOUT, "bridge")
        self._voices = Voice(source), Voice(target)
        self._lag = Lag(*self._voices, lag_events, lag_seconds)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # one thread at a time does a step
        self._portions: deque[list[Event]] | None = None  # of the batch that is being forwarded
        self._closes = False  # whether all that was read is safe once the portions are
        self._since = self._clock.time()
        self._moved = self._clock.monotonic()
        self._window = self._window_now()
        self._read = self._forwarded = self._commits = self._faults = self._again = 0
        self._waiting = self._skipped = 0  # as the last look found it: a consumer is for one thread
        self._dirty = self._quiet = self._drains = False

    # --- the life of a bridge ---

    def start(self) -> Bridge:
        """Begin, in a thread."""
        self._thread = threading.Thread(target=self.run, name=f"diaspora-{self.name[:24]}", daemon=True)
        self._thread.start()
        return self

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """Forward what was read, commit and end; whether all that was read is safe and committed.

        Args:
            timeout: seconds. What is not safe by then comes again when the bridge is next started.
        """
        deadline = time.monotonic() + timeout
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return False
        return self._finish(deadline)

    def run(self) -> None:
        """Forward until `stop` is called, from another thread or a signal's handler."""
        while not self._stop.is_set():
            try:
                self.step(IDLE)
            except Exception as error:
                # What was not committed comes again, so the only thing that must not happen is to end.
                if self._faults == 0:
                    logger.exception("A bridge failed; it goes on from its last commit.")
                self._absorb(error)
                self._clock.wait(self._stop, _AFTER_FAULT)
            if (pause := self._pause()) > 0:
                self._clock.wait(self._stop, pause)

    def drain(self, timeout: float = DRAIN_TIMEOUT) -> bool:
        """Wait until nothing is left to forward; whether that came to be. Without a thread, do it here.

        Windows do not stay open meanwhile: when there is nothing to read, what they hold is said.
        """
        deadline = time.monotonic() + timeout
        self._drains, self._quiet = True, False
        while not self.is_drained and time.monotonic() < deadline:
            if self._thread is None:
                self.step(0.0)
                self._clock.wait(self._stop, self._pause())
            else:
                time.sleep(0.002)
        self._drains = False
        return self.is_drained

    @property
    def is_drained(self) -> bool:
        """Whether the last look found nothing new, and all that was read before is safe and committed."""
        return self._quiet and not self._dirty

    def __enter__(self) -> Bridge:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- one step ---

    def step(self, timeout: float = 0.0) -> None:
        """Read a batch and forward it, or try again with the one before: for a program's own loop.

        Args:
            timeout: seconds to wait for new events.
        """
        with self._lock:
            if self._portions is None:
                self._read_on(timeout)
            if self._portions is not None:
                self._hand_on()
            self._look()

    def status(self) -> BridgeStatus:
        """How it stands."""
        selection, crossing = self._selection, self._crossing
        return BridgeStatus(
            name=self.name,
            source=self._from.url,
            target=self._to.url,
            since=self._since,
            read=self._read,
            forwarded=self._forwarded,
            filtered=selection.filtered,
            reduced=selection.reduced,
            marks=selection.marks,
            loops=crossing.loops,
            too_far=crossing.too_far,
            refused=self._handover.refused,
            skipped=self._skipped,
            again=self._again,
            lag=self._waiting,
            lagging=self._lag.lagging,
            commits=self._commits,
            faults=self._faults + selection.failures,
            why=self._handover.why or self._source.why,
        )

    def _read_on(self, timeout: float) -> None:
        events = self._source.poll(timeout, BATCH)
        if events is None:
            self._go_back()
            return
        self._quiet = not events
        self._dirty = self._dirty or bool(events)
        self._read += len(events)
        out = self._selection.take(self._crossing.cross(events))
        self._closes = self._is_time_to_close()
        if self._closes:
            out = [*out, *self._selection.close()] if self._selection.is_open else out
        if out or (self._closes and self._dirty):
            self._portions = deque(portions(out))

    def _is_time_to_close(self) -> bool:
        """Whether all that is held is to be said now, so that the position can be kept."""
        before, self._window = self._window, self._window_now()
        is_over = before != self._window or (self._drains and self._quiet)
        return is_over or not self._selection.is_open or self._selection.is_full()

    def _window_now(self) -> int:
        return int(self._clock.time() // self._selection.window)

    def _hand_on(self) -> bool:
        """Portion by portion; the position moves when the last one is safe. Whether nothing is left to do."""
        while self._portions:
            if not self._handover.hand_on(self._portions[0]):
                return False
            self._forwarded += len(self._portions.popleft())
            self._moved = self._clock.monotonic()
        self._portions = None
        if self._closes and self._source.commit():
            self._commits += 1
            self._dirty = False
        return not self._dirty

    def _finish(self, deadline: float) -> bool:
        """Say what is held, and try once more to bring all to safety."""
        with self._lock:
            self._closes = True
            self._portions = deque([*(self._portions or ()), *portions(self._selection.close())])
            while self._dirty and not self._hand_on() and time.monotonic() < deadline:
                self._clock.wait(threading.Event(), min(0.05, self._handover.pause()))
        for voice in self._voices:
            voice.close(max(0.1, deadline - time.monotonic()))
        self._handover.close()
        self._source.reopen()
        return not self._dirty

    def _go_back(self) -> None:
        """The source was opened anew: what was read and is not committed comes again."""
        if self._dirty:
            self._again += 1
        self._selection.forget()
        self._dirty = self._quiet = False

    def _absorb(self, error: Exception) -> None:
        self._faults += 1
        if self._faults == 1:
            self._voices[0].say(ServiceDegraded(part="bridge", why=f"{type(error).__name__}: {error}"))
        self._portions = None
        self._source.reopen()
        self._go_back()

    def _look(self) -> None:
        now = self._clock.monotonic()
        self._skipped = self._source.skipped()
        self._waiting = self._source.lag() + sum(map(len, self._portions or ()))
        self._lag.look(self._waiting, self._moved, now, self._handover.why)
        self._lag.look_at_source(self._source.away_since, self._source.lag(), now, self._source.why)

    def _pause(self) -> float:
        return self._handover.pause() if self._portions is not None else self._source.pause()
