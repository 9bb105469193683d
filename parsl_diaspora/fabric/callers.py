"""The callers' side of a publisher that works in a thread: stamps, encodes, bounds, counts."""

from __future__ import annotations

import threading
from typing import Any

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.losses import CLOSED, FULL, MAX_EVENT, Losses, encode_within
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.stamp import Stamp

BUFFER_BYTES = 64 * 1024 * 1024


class CallersSide:
    """Takes events from any thread and hands them, encoded, to ``_put``, which a publisher brings along.

    What is put in counts as accepted; the publisher's thread says with ``_safe``, ``_given_up`` and
    ``_settled_bytes`` what became of it.
    """

    def _open(self, source: str, buffer: int) -> None:
        """Start with a boot and counters of its own."""
        self._stamp = Stamp(source)
        self._buffer = buffer
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._losses = Losses()
        self._accepted = self._accepted_bytes = 0  # changed by callers, who hold the lock
        self._safe = self._given_up = self._settled_bytes = 0  # changed by the thread only

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event."""
        with self._lock:
            if self._refuses(event):
                self._stamp.sign(event)
                return
            self._stamp(event)
            try:
                data = self._encoded(event)
            except EventError as error:
                self._stamp.take_back(event)
                self._lose(event, error.message)
            else:
                self._put(data)

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped."""
        with self._lock:
            if self._refuses(event):
                return
            try:
                self._put(self._forwarded(self._encoded(event)))
            except EventError as error:
                self._lose(event, error.message)

    def report(self) -> FlushReport:
        """What became of the events so far."""
        waiting = self._accepted - self._safe - self._given_up
        return FlushReport(safe=self._safe, waiting=waiting, lost=self._losses.total + self._given_up)

    def _refuses(self, event: Event) -> bool:
        """Whether there is no room for a further event; counts it if so."""
        closed = self._closing.is_set()
        waiting = self._accepted - self._safe - self._given_up
        full = waiting >= self._buffer or self._accepted_bytes - self._settled_bytes >= BUFFER_BYTES
        if closed or full:
            self._losses.add(event, CLOSED if closed else FULL)
        return closed or full

    def _lose(self, event: Event, why: str) -> None:
        self._losses.add(event, why)
        self._say_losses()

    def _say_losses(self) -> None:
        for said in self._losses.say():
            self._put(self._encoded(self._stamp(said)))

    def _encoded(self, event: Event) -> Any:
        """An event as it is put in.

        Raises:
            EventError: it cannot be encoded, or is too large.
        """
        return encode_within(event, MAX_EVENT)

    def _forwarded(self, data: Any) -> Any:
        """An event of another source, as it is put in."""
        return data

    def _put(self, data: Any) -> None:
        raise NotImplementedError
