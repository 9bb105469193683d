"""What waits to be sent to the hub, and what became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from parsl_diaspora.fabric.callers import CallersSide
from parsl_diaspora.fabric.file.frames import TARGET_BODY


class Forwarded(bytes):
    """An encoded event of another source."""

    __slots__ = ()


class Intake(CallersSide):
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
        self._open(source, buffer)
        self.stamp, self.closing = self._stamp, self._closing
        self.ring = ring
        self._queue: deque[bytes] = deque()  # callers append, the thread takes: neither needs a lock
        self._held: bytes | None = None

    # --- callers ---

    def wait(self, timeout: float) -> bool:
        """Wait until all that was put in so far has met its end; whether it has."""
        return self._wait(timeout)

    def close(self) -> None:
        """Say what was lost, and take nothing more."""
        with self._lock:
            if not self.closing.is_set():
                self._say_losses()
                self.closing.set()
        self.ring()

    def _forwarded(self, data: bytes) -> bytes:
        return Forwarded(data)

    def _put(self, data: bytes) -> None:
        self._accepted += 1
        self._accepted_bytes += len(data)
        self._queue.append(data)
        self.ring()

    # --- the thread ---

    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return self._held is None and not self._queue

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

    def give_up(self) -> None:
        """Nothing will be sent any more: what is not safe is lost."""
        report = self.report()
        self.settle(report.waiting, 0, safe=False)

    def _next(self) -> bytes | None:
        if self._held is not None:
            data, self._held = self._held, None
            return data
        return self._queue.popleft() if self._queue else None
