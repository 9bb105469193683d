"""A writer whose events carry seals, and which notes what is safe."""

from __future__ import annotations

from zlib import crc32

from parsl_diaspora.events import Event, TaskSubmitted
from parsl_diaspora.fabric import FlushReport, Publisher
from parsl_diaspora.testing.history.records import Intends, Notes, Safe


def sealed_event(source: str, number: int, size: int = 0) -> TaskSubmitted:
    """An event that tells by itself whether it is what was published: its text holds a checksum of the rest.

    Args:
        source: who will publish it.
        number: of the event among all that this source publishes, from 1.
        size: more characters of text.

    Example:
        >>> event = sealed_event("me", 7, size=20)
        >>> event.source = "me"
        >>> sealed_number(event)
        7
        >>> event.task = 8
        >>> sealed_number(event)
        -1
    """
    filling = "x" * size
    return TaskSubmitted(task=number, func=f"{_seal(source, number, filling)}:{filling}")


def sealed_number(event: Event) -> int:
    """The number of a sealed event, or -1 if it is none or not whole."""
    if not isinstance(event, TaskSubmitted) or not event.task:
        return -1
    seal, _, filling = event.func.partition(":")
    return event.task if seal == _seal(event.source, event.task, filling) else -1


def _seal(source: str, number: int, filling: str) -> str:
    return f"{crc32(f'{source} {number} {filling}'.encode()):08x}"


class HistoryWriter:
    """Publishes sealed events and notes what it was told of them.

    Args:
        publisher: of one source that nobody else uses, in no other life either.
        notes: of this process.

    Attributes:
        number: of the event that was published last.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.fabric import open_fabric
        >>> notes = Notes(tempfile.mkdtemp() + "/notes")
        >>> writer = HistoryWriter(open_fabric("memory:").publisher("me"), notes)
        >>> writer.publish([100] * 5)
        >>> writer.flush().safe
        5
    """

    def __init__(self, publisher: Publisher, notes: Notes) -> None:
        self._publisher = publisher
        self._notes = notes
        self._boot = ""
        self._safe = self.number = 0

    def publish(self, sizes: list[int]) -> None:
        """Publish one event of each size."""
        self._notes.add(Intends(self._publisher.source, self.number + len(sizes)))
        for size in sizes:
            self.number += 1
            event = sealed_event(self._publisher.source, self.number, size)
            self._publisher.publish(event)
            self._boot = event.boot

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Flush, and note what is called safe."""
        report = self._publisher.flush(timeout)
        if report.safe > self._safe:
            self._safe = report.safe
            self._notes.add(Safe(self._publisher.source, self._boot, report.safe))
        return report
