"""The thread that hands the backlog on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.spool.backlog import Backlog, Batch
from parsl_diaspora.fabric.spool.handover import Handover
from parsl_diaspora.fabric.spool.offers import Offer, Offers

logger = logging.getLogger(__name__)

IDLE = 1.0  # seconds between looks for what dead processes left; own events wake the thread
_LINGER = 0.01  # seconds in which further events may join the first of a batch
_AFTER_FAULT = 1.0
_LOOK = 0.5  # seconds after which a look is taken during a pause: it may be over early


class Forwarder:
    """Reads a batch, hands it on, and lets go of it only when the fabric behind has confirmed it.

    Attributes:
        forwarded: events handed on from the disk.
        direct: events handed on that never were on the disk.
        moved: when a batch was last confirmed, on the clock's monotonic time.
        busy_since: when it last turned to the fabric behind, which counts its timeouts in real time; None
            while it does not.
        faults: own faults that were absorbed.
    """

    def __init__(self, backlog: Backlog, offers: Offers, handover: Handover, clock: Clock) -> None:
        self._backlog = backlog
        self._offers = offers
        self.handover = handover
        self._clock = clock
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diaspora-forwarder", daemon=True)
        self.forwarded = self.direct = self.faults = 0
        self.moved = clock.monotonic()
        self.busy_since: float | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def abandon(self) -> None:
        """Stop as soon as the fabric behind lets go of the thread; nobody waits for that."""
        self._stop.set()
        self._wake.set()

    def stop(self, timeout: float) -> bool:
        """Stop within ``timeout`` seconds; whether it has. What is not confirmed by then stays on disk."""
        self.abandon()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except Exception:
                # The events are on disk, so the only thing that must not happen is that nobody hands them on.
                self.faults += 1
                if self.faults == 1:
                    logger.exception("The spool's forwarder failed; it tries again.")
                self._clock.wait(self._stop, _AFTER_FAULT)

    def _step(self) -> None:
        self._wake.clear()
        offer = (
            self._offers.take()
        )  # before the look at the disk: what is older than the offer is there by now
        batch = self._next_batch()
        if batch is not None:
            if offer is not None:
                self._offers.put(offer)
            self._forward(batch)
        elif offer is not None:
            self._forward_offer(offer)
        elif self._clock.wait(self._wake, IDLE):
            self._clock.wait(self._stop, _LINGER)

    def _next_batch(self) -> Batch | None:
        try:
            return self._backlog.next_batch()
        except OSError as error:
            self.faults += 1
            if self.faults == 1:
                logger.warning("The directory of the spool cannot be read: %s.", error.strerror)
            return None

    def _forward(self, batch: Batch) -> None:
        while not self._hand_on(batch.events):
            if self._clock.wait(self._stop, min(self.handover.pause(), _LOOK)):
                return
        self._backlog.settle(batch)
        self.forwarded += len(batch.events)

    def _forward_offer(self, offer: Offer) -> None:
        """Nothing of its publisher is on the disk, nor comes there while the offer is pending."""
        while offer.pending and not self._hand_on(offer.events):
            if self._clock.wait(self._stop, min(self.handover.pause(), _LOOK)):
                self._offers.put(offer)
                return
        if offer.pending:
            offer.accept()
            self.direct += len(offer.events)

    def _hand_on(self, events: Sequence[Event]) -> bool:
        self.busy_since = time.monotonic()
        try:
            done = self.handover.hand_on(events)
        finally:
            self.busy_since = None
        self.moved = self._clock.monotonic() if done else self.moved
        return done
