"""The running program's picture: own events folded as they are said, others' as they arrive."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from parsl_diaspora.events import Event, ServiceDegraded
from parsl_diaspora.fabric import Consumer, Fabric, FlushReport, Publisher
from parsl_diaspora.fabric.forks import after_fork
from parsl_diaspora.fabric.protocols import LeavesOut, PublishesMany, only_takes
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.state.dedupe import Dedupe
from parsl_diaspora.state.picture import Picture

logger = logging.getLogger(__name__)

KEEP_FINISHED = 100_000

#: Between two rounds of saying what waits and hearing what came: a round costs hardly less for one event
#: than for fifty, and the program's threads wait for the interpreter meanwhile.
PAUSE_SECONDS = 0.05
MOST_WAITING = 1_000
SLOW = 1.0  # seconds for which own events may wait while the fabric is well
EARLIER = 5.0  # seconds before its making from which on it listens: clocks of hosts differ a little
DEAF_FOR = 15.0  # seconds after an outage in which others' events may still be on their way


class Live:
    """Speaks for a run and knows its state. Nothing here raises or waits in the caller's thread.

    Args:
        fabric: where this run's events go.
        run: Parsl's run id.
        source: who speaks.
        buffer: events kept in memory while the fabric is slow.
        node_fabric: where workers publish, when that is another place; its events are passed on.

    Attributes:
        picture: the state; read it from any thread, write it never.
        faults: own faults that were absorbed, by part.
        lock: held while the picture changes; take it to read several things that must fit together.
        inlet: where a hub of this run brings what its workers say, so that it is heard here.
        node_url: the URL that workers publish to; None if they cannot reach any fabric of this run.
    """

    def __init__(
        self,
        fabric: Fabric,
        run: str,
        source: str,
        *,
        buffer: int = 50_000,
        node_fabric: Fabric | None = None,
    ) -> None:
        self.fabric = fabric
        self.picture = Picture(run, keep=KEEP_FINISHED)
        self.faults: dict[str, int] = {}
        self._begin_life()
        after_fork(self, Live._begin_life)
        self._publisher: Publisher = fabric.publisher(source, buffer=buffer)
        self._node_fabric = node_fabric
        self.inlet: Fabric = node_fabric if node_fabric and only_takes(fabric) else fabric
        self.node_url = (node_fabric or fabric).node_url
        self._dedupe = Dedupe()
        self._own_boot = ""
        self._deaf_at = float("-inf")
        self._waits_since = time.monotonic()
        self._safe = 0
        self._stop = threading.Event()
        self._listeners: list[Callable[[Event], None]] = []
        self._passes: Callable[[Event], bool] = lambda _: True
        self._from = time.time() - EARLIER
        self._thread = threading.Thread(target=self._listen, name="diaspora-listener", daemon=True)

    def _begin_life(self) -> None:
        """At first; and in a forked child, which forgets its parent's locks and what waits to be said."""
        self.lock = threading.Lock()
        self._saying = threading.RLock()
        self._waiting: deque[Event] = deque()
        self._heard: deque[Event] = deque()

    def start(self) -> None:
        """Begin to listen to others' events."""
        self._thread.start()
        atexit.register(self.catch_up)  # a program that ends without a close loses nothing, either

    @property
    def hears(self) -> bool:
        """Whether silence means anything: not while the fabric is away, nor just after it has come back."""
        return time.monotonic() - self._deaf_at > DEAF_FOR

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event after it is folded, in the thread that met it: be quick."""
        self._listeners.append(listener)

    def heed(self, passes: Callable[[Event], bool]) -> None:
        """Hear only those of others' events for which ``passes`` says so. Call it before `start`."""
        self._passes = passes

    def say(self, event: Event) -> Event:
        """Publish an event of this run and fold it into the picture. Returns the stamped event."""
        with self._saying:
            self.catch_up()
            self._say([event])
        return event

    def say_soon(self, event: Event) -> None:
        """Say an event that nobody waits for: within `PAUSE_SECONDS`, and before any that is said later.

        For what happens with every task: said in one go with others, an event costs a third.
        """
        event.time = event.time or time.time()
        self._waiting.append(event)
        if len(self._waiting) > MOST_WAITING or not self._thread.is_alive():
            self.catch_up()

    def hear(self, event: Event) -> None:
        """Take in another source's event that came by a way of its own, and pass it on to the fabric."""
        self._heard.append(event)

    def catch_up(self) -> None:
        """Say what waits to be said: the picture knows it afterwards."""
        while self._waiting:
            with self._saying:
                if events := [self._waiting.popleft() for _ in range(len(self._waiting))]:
                    self._say(events)

    def _say(self, events: list[Event]) -> None:
        for event in events:
            event.run = event.run or self.picture.run
            event.time = event.time or time.time()
        try:
            self._publish(events)
            self._own_boot = events[-1].boot
        except Exception as error:  # noqa: BLE001 - promise 1: a fault of ours never reaches the workflow
            self.absorb("events", error)
        self._take(events)

    def _publish(self, events: list[Event]) -> None:
        if len(events) > 1 and isinstance(self._publisher, PublishesMany):
            self._publisher.publish_all(events)
            return
        for event in events:
            self._publisher.publish(event)

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait up to ``timeout`` seconds for what was said to be safe."""
        self.catch_up()
        return self._publisher.flush(timeout)

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own, and say it once a part."""
        count = self.faults[part] = self.faults.get(part, 0) + 1
        if count > 1:
            return
        why = f"{type(error).__name__}: {error}"
        logger.warning(
            "parsl_diaspora: %s met a fault and falls back to stock behaviour: %s", part, why, exc_info=error
        )
        if part not in ("events", "picture"):
            self.say(ServiceDegraded(part=part, why=why))

    def stop(self, timeout: float = 5.0) -> None:
        """Stop listening and bring the events to safety."""
        self._stop.set()
        atexit.unregister(self.catch_up)
        if self._thread.is_alive():
            self._thread.join(timeout)
        self.catch_up()
        report = self._publisher.close(timeout)
        if report.lost or report.waiting:
            logger.warning(
                "parsl_diaspora: %d events of this run could not be kept in %s.",
                report.lost + report.waiting,
                self.fabric.url,
            )

    def _take(self, events: list[Event]) -> None:
        with self.lock:
            self._each(self.picture.fold, events)
        for listener in self._listeners:
            self._each(listener, events)

    def _each(self, take: Callable[[Event], None], events: list[Event]) -> None:
        for event in events:
            try:
                take(event)
            except Exception as error:  # noqa: BLE001 - promise 1; one bad event must not cost the others, either
                self.absorb("picture", error)

    def _listen(self) -> None:
        try:
            self._listen_on()
        except Exception as error:  # noqa: BLE001 - the thread's guard: without it nobody would know
            self.absorb("listener", error)

    def _listen_on(self) -> None:
        sources = list(self._sources(f"live-{self.picture.run[:8]}"))
        while not self._stop.is_set():
            self.catch_up()
            for consumer, pass_on in sources:
                self._leave_out_own(consumer)
                self._drain(consumer, pass_on)
            self._take_heard()
            self._look_at_fabric()
            self._stop.wait(PAUSE_SECONDS)
        for consumer, pass_on in sources:
            self._drain(consumer, pass_on)
            consumer.close()

    def _sources(self, name: str) -> Iterator[tuple[Consumer, bool]]:
        """What is listened to, and whether it is to be passed on into the fabric."""
        if not only_takes(self.fabric):
            yield self.fabric.consumer(name, start=self._from), False
        if self._node_fabric is not None:
            yield self._node_fabric.consumer(name, start="earliest"), True

    def _leave_out_own(self, consumer: Consumer) -> None:
        """What we have said ourselves is in the picture already."""
        if self._own_boot and isinstance(consumer, LeavesOut):
            consumer.leave_out(self._own_boot)

    def _look_at_fabric(self) -> None:
        """Where our own events are not taken, those of others do not arrive, either."""
        now, (waiting, safe) = time.monotonic(), self._progress()
        if not waiting or safe != self._safe:  # some always wait while there is much to say
            self._waits_since = now
        self._safe = safe
        if now - self._waits_since > SLOW:
            self._deaf_at = now

    def _progress(self) -> tuple[int, int]:
        """How many of our events others cannot read yet, and a count that changes when that gets on."""
        if isinstance(self.fabric, SpooledFabric):
            if not (waiting := self.fabric.lag()):
                return 0, self._safe
            spool = self.fabric.report()
            return waiting, spool.forwarded + spool.direct
        report = self._publisher.flush(0.0)
        return report.waiting, report.safe

    def _drain(self, consumer: Consumer, pass_on: bool) -> None:
        try:
            events = consumer.poll()
        except Exception as error:  # noqa: BLE001 - the listener must outlive a bad poll
            self.absorb("listener", error)
            self._deaf_at = time.monotonic()
            self._stop.wait(1.0)
            return
        self._hear(events, pass_on)

    def _take_heard(self) -> None:
        self._hear([self._heard.popleft() for _ in range(len(self._heard))], pass_on=True)

    def _hear(self, events: list[Event], pass_on: bool) -> None:
        new = [event for event in events if event.boot != self._own_boot and self._dedupe.is_new(event)]
        new = [event for event in new if self._is_heeded(event)]
        if pass_on:
            self._each(self._publisher.forward, new)
        if new:
            self._take(new)

    def _is_heeded(self, event: Event) -> bool:
        try:
            return self._passes(event)
        except Exception as error:  # noqa: BLE001 - what cannot be judged is not heeded, and the listener lives on
            self.absorb("orders", error)
            return False
