"""Batches that could not be written to the disk and are offered to the forwarder instead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

from parsl_diaspora.events import Event


class Offer:
    """A batch in its publisher's memory, until the forwarder has brought it to safety or it is withdrawn."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._over = threading.Event()
        self.accepted = False

    @property
    def pending(self) -> bool:
        """Whether it is neither accepted nor withdrawn."""
        return not self._over.is_set()

    def accept(self) -> None:
        """The events are safe."""
        self.accepted = True
        self._over.set()

    def withdraw(self) -> None:
        """The publisher found another way, or gave up. What is just being handed on may still arrive."""
        self._over.set()

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for its end; whether it was accepted."""
        self._over.wait(timeout)
        return self.accepted


class Offers:
    """Those that wait, at most one a publisher: memory is bounded by what it writes at once."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Offer] = queue.SimpleQueue()

    def put(self, offer: Offer) -> None:
        """Add one."""
        self._queue.put(offer)

    def take(self) -> Offer | None:
        """The next one that is still pending, if any."""
        while not self._queue.empty():
            offer = self._queue.get()
            if offer.pending:
                return offer
        return None
