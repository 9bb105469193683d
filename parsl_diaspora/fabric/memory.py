"""The fabric inside one process: for tests, notebooks and programs that need no log afterwards."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from itertools import islice

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, EventsLost, decode, encode
from parsl_diaspora.fabric.protocols import FlushReport, Start, start_position, start_time
from parsl_diaspora.fabric.stamp import Stamp

DEFAULT_CAPACITY = 1_000_000
_PART = "events"

_named: dict[str, MemoryFabric] = {}
_named_lock = threading.Lock()


def open_memory(url: str) -> MemoryFabric:
    """The fabric that a ``memory:`` URL names; with a name it is shared in this process, else it is new."""
    name = url.partition(":")[2]
    if not name:
        return MemoryFabric()
    with _named_lock:
        return _named.setdefault(name, MemoryFabric(url=url))


class MemoryFabric:
    """Keeps the newest events as bytes; each consumer name has its own position.

    Args:
        url: the name under which it was opened.
        capacity: events kept. A consumer that falls further behind is told how many it missed.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> fabric = MemoryFabric()
        >>> fabric.publisher("me").publish(RunEnded(done=3))
        >>> fabric.consumer("you").poll()[0].done
        3
    """

    def __init__(self, url: str = "memory:", capacity: int = DEFAULT_CAPACITY) -> None:
        self._url = url
        self._kept: deque[tuple[float, bytes]] = deque(maxlen=capacity)
        self._end = 0
        self._changed = threading.Condition()
        self._committed: dict[str, int] = {}

    @property
    def url(self) -> str:
        """The URL under which it was opened."""
        return self._url

    @property
    def node_url(self) -> str | None:
        """None: other processes cannot reach it."""
        return None

    def publisher(self, source: str, *, buffer: int = 0, immediate: bool = True) -> MemoryPublisher:
        """A publisher for one source; nothing is ever buffered here."""
        del buffer, immediate
        return MemoryPublisher(self, source)

    def consumer(self, name: str, *, start: Start = "earliest") -> MemoryConsumer:
        """The named consumer."""
        with self._changed:
            return MemoryConsumer(self, name, self._committed.get(name, self._position(start)))

    def close(self) -> None:
        """Nothing to let go of."""

    def append(self, when: float, data: bytes) -> None:
        """Take one encoded event."""
        with self._changed:
            self._kept.append((when, data))
            self._end += 1
            self._changed.notify_all()

    def read(self, position: int, limit: int, timeout: float) -> tuple[int, list[bytes]]:
        """Events from ``position`` on, and how many had gone already."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._end <= position and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            first = self._end - len(self._kept)
            begin = max(position, first) - first
            kept = [data for _, data in islice(self._kept, begin, begin + limit)]
            return max(0, first - position), kept

    def commit(self, name: str, position: int) -> None:
        """Remember a consumer's position."""
        with self._changed:
            self._committed[name] = position

    def end(self) -> int:
        """Number of events ever published."""
        return self._end

    def _position(self, start: Start) -> int:
        if isinstance(start, Mapping):
            return start_position(start).get(_PART, 0)
        moment = start_time(start)
        if moment == float("inf"):
            return self._end
        first = self._end - len(self._kept)
        return next((first + i for i, (when, _) in enumerate(self._kept) if when >= moment), self._end)


class MemoryPublisher:
    """Speaks into a `MemoryFabric`. Only what cannot be encoded is lost; an event in its place says so."""

    def __init__(self, fabric: MemoryFabric, source: str) -> None:
        self._fabric = fabric
        self._stamp = Stamp(source)
        self._lock = threading.Lock()
        self._safe = self._lost = 0

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._stamp.source

    def publish(self, event: Event) -> None:
        """Stamp and keep the event."""
        with self._lock:
            try:
                data = encode(self._stamp(event))
            except EventError as error:
                self._stamp.take_back(event)
                data = self._say_lost(event, error)
            self._append(event.time, data)

    def forward(self, event: Event) -> None:
        """Keep an event that another source has stamped."""
        with self._lock:
            try:
                data = encode(event)
            except EventError as error:
                data = self._say_lost(event, error)
            self._append(event.time, data)

    def _say_lost(self, event: Event, error: EventError) -> bytes:
        self._lost += 1
        return encode(self._stamp(EventsLost(run=event.run, count=1, why=error.message)))

    def _append(self, when: float, data: bytes) -> None:
        self._safe += 1
        self._fabric.append(when, data)

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """All is kept at once."""
        del timeout
        return FlushReport(safe=self._safe, waiting=0, lost=self._lost)

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Nothing to stop."""
        return self.flush(timeout)


class MemoryConsumer:
    """Reads a `MemoryFabric`."""

    def __init__(self, fabric: MemoryFabric, name: str, position: int) -> None:
        self._fabric = fabric
        self._name = name
        self._position = position
        self._skipped = 0
        self._stamp = Stamp(f"reader:{name}")

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled; first of all how many had gone, if any."""
        missed, encoded = self._fabric.read(self._position, limit, timeout)
        self._position += missed + len(encoded)
        events = [decode(data) for data in encoded]
        if not missed:
            return events
        self._skipped += 1
        why = f"consumer {self._name!r} fell behind the memory fabric's capacity"
        return [self._stamp(EventsLost(count=missed, why=why)), *events]

    def commit(self) -> None:
        """Keep the position for the next consumer of this name."""
        self._fabric.commit(self._name, self._position)

    def position(self) -> dict[str, int]:
        """Number of events before it."""
        return {_PART: self._position}

    def lag(self) -> int:
        """Events not yet polled."""
        return self._fabric.end() - self._position

    def skipped(self) -> int:
        """Times that events had gone before they were read."""
        return self._skipped

    def close(self) -> None:
        """Nothing to stop."""
