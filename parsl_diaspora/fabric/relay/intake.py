"""The callers' side of a publisher that works in a thread: stamps, encodes, bounds, counts."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, encode
from parsl_diaspora.fabric.file.frames import MAX_EVENT, TARGET_BODY
from parsl_diaspora.fabric.losses import CLOSED, FULL, Losses, encode_within
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.stamp import Stamp

BUFFER_BYTES = 64 * 1024 * 1024


class Forwarded(bytes):
    """An encoded event of another source."""

    __slots__ = ()


class Intake:
    """A bounded queue of encoded events, and what became of all that were put into it.

    Args:
        source: who speaks.
        buffer: events that may wait.
        ring: called after each event that was put in; it must be quick.

    Attributes:
        stamp: of this life of the source.
        closing: set when nothing is taken any more.
        ring: as given; whoever takes the events may put its own in place.
    """

    def __init__(self, source: str, buffer: int, ring: Callable[[], None]) -> None:
        self.stamp = Stamp(source)
        self.closing = threading.Event()
        self._buffer = buffer
        self.ring = ring
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._held: bytes | None = None
        self._lock = threading.Lock()
        self._settled = threading.Condition()
        self._losses = Losses()
        self._accepted = self._accepted_bytes = 0  # changed by callers, who hold the lock
        self._safe = self._given_up = self._settled_bytes = 0  # changed by the thread only
        self._said_at = 0

    # --- callers ---

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event."""
        with self._lock:
            if self._refuses(event):
                self.stamp.sign(event)
                return
            self.stamp(event)
            try:
                data = encode_within(event, MAX_EVENT)
            except EventError as error:
                self.stamp.take_back(event)
                self._lose(event, error.message)
            else:
                self._put(data)

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped."""
        with self._lock:
            if self._refuses(event):
                return
            try:
                self._put(Forwarded(encode_within(event, MAX_EVENT)))
            except EventError as error:
                self._lose(event, error.message)

    def wait(self, timeout: float) -> bool:
        """Wait until all that was put in so far has met its end; whether it has."""
        target = self._accepted
        with self._settled:
            return self._settled.wait_for(lambda: self._met() >= max(target, self._said_at), timeout)

    def close(self) -> None:
        """Say what was lost, and take nothing more."""
        with self._lock:
            if not self.closing.is_set():
                self._say_losses()
                self.closing.set()
        self.ring()

    def report(self) -> FlushReport:
        """What became of the events so far."""
        waiting = self._accepted - self._met()
        return FlushReport(safe=self._safe, waiting=waiting, lost=self._losses.total + self._given_up)

    def _met(self) -> int:
        return self._safe + self._given_up

    def _refuses(self, event: Event) -> bool:
        """Whether there is no room for a further event; counts it if so."""
        closed = self.closing.is_set()
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
            self._put(encode(self.stamp(said)))

    def _put(self, data: bytes) -> None:
        self._accepted += 1
        self._accepted_bytes += len(data)
        self._queue.put(data)
        self.ring()

    # --- the thread ---

    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return self._held is None and self._queue.empty()

    def take(self) -> list[bytes]:
        """The next events, about `TARGET_BODY` bytes of them: all of this source, or all `Forwarded`."""
        batch: list[bytes] = []
        size = 0
        while size < TARGET_BODY and (data := self._next()) is not None:
            if batch and type(data) is not type(batch[0]):
                self._held = data
                break
            batch.append(data)
            size += len(data)
        return batch

    def settle(self, count: int, size: int, *, safe: bool) -> None:
        """So many events, of so many bytes, are safe or given up."""
        with self._settled:
            self._settled_bytes += size
            if safe:
                self._safe += count
                self._say_in_time()
            else:
                self._given_up += count
            self._settled.notify_all()

    def _say_in_time(self) -> None:
        """Say losses before whoever waits is woken, so that a flush waits for what is said of them, too."""
        if self._losses:
            with self._lock:
                if not self.closing.is_set():
                    self._say_losses()
                    self._said_at = self._accepted

    def give_up(self) -> None:
        """Nothing will be sent any more: what is not safe is lost."""
        report = self.report()
        self.settle(report.waiting, 0, safe=False)

    def _next(self) -> bytes | None:
        if self._held is not None:
            data, self._held = self._held, None
            return data
        try:
            return self._queue.get_nowait()
        except queue.Empty:
            return None
