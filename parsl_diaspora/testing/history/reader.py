"""A reader that notes what it got before it commits, and that it has committed."""

from __future__ import annotations

import secrets
import time

from parsl_diaspora.events import Event, EventsLost
from parsl_diaspora.fabric import Consumer
from parsl_diaspora.testing.history.records import Committed, Drained, Met, Notes, Read
from parsl_diaspora.testing.history.writer import sealed_number


class HistoryReader:
    """One life of one named reader.

    Args:
        consumer: of that name.
        name: of the reader.
        notes: of this process.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.testing.history import read_notes
        >>> from parsl_diaspora.fabric import open_fabric
        >>> path = tempfile.mkdtemp() + "/notes"
        >>> reader = HistoryReader(open_fabric("memory:").consumer("you"), "you", Notes(path))
        >>> reader.drain(quiet=0.0)
        >>> list(read_notes([path]))
        [Drained(reader='you')]
    """

    def __init__(self, consumer: Consumer, name: str, notes: Notes) -> None:
        self._consumer = consumer
        self._name = name
        self._notes = notes
        self._life = secrets.token_hex(4)

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> int:
        """Poll once; how many events came."""
        events = self._consumer.poll(timeout, limit)
        skipped = self._consumer.skipped()
        if events or skipped:
            self._notes.add(Read(self._name, self._life, [met(event) for event in events], skipped))
        return len(events)

    def commit(self) -> None:
        """Commit, and note that it has returned."""
        self._consumer.commit()
        self._notes.add(Committed(self._name, self._life))

    def drain(self, quiet: float = 0.5) -> None:
        """Read and commit until nothing has come for ``quiet`` seconds; this reader should have all then."""
        last = time.monotonic()
        while True:
            if self.poll(min(0.1, quiet)):
                self.commit()
                last = time.monotonic()
            elif time.monotonic() - last >= quiet:
                break
        self._notes.add(Drained(self._name))


def met(event: Event) -> Met:
    """An event as the history knows it."""
    if isinstance(event, EventsLost):
        return Met(event.source, event.boot, event.seq, 0, event.count)
    return Met(event.source, event.boot, event.seq, sealed_number(event))
