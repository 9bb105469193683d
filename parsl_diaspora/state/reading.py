"""All events of a log, each once, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.events import Event, EventsCompacted
from parsl_diaspora.fabric import Consumer, Fabric
from parsl_diaspora.state.dedupe import Dedupe

CONSUMER = "reading"
BATCH = 10_000
PATIENCE = 1.0


class Reading:
    """One pass over a fabric. Nothing is committed.

    Args:
        fabric: to be read.
        limit: about how many events are read at a time.

    Attributes:
        events: how many there were, those included that a compaction dropped.
        dedupe: how many came twice, or are missing.
        skipped: damaged stretches that were passed over.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> fabric = open_fabric("memory:")
        >>> fabric.publisher("me").publish(RunEnded(done=3))
        >>> [event.kind for event in Reading(fabric)]
        ['run.ended']
    """

    def __init__(self, fabric: Fabric, limit: int = BATCH) -> None:
        self._fabric = fabric
        self._limit = limit
        self.events = 0
        self.dedupe = Dedupe()
        self.skipped = 0

    def __iter__(self) -> Iterator[Event]:
        consumer = self._fabric.consumer(CONSUMER, start="earliest")
        try:
            for event in drain(consumer, self._limit):
                if self.dedupe.is_new(event):
                    self.events += event.dropped if type(event) is EventsCompacted else 1
                    yield event
        finally:
            self.skipped = consumer.skipped()
            consumer.close()


def drain(consumer: Consumer, limit: int = BATCH) -> Iterator[Event]:
    """All events that are there and not yet polled, ``limit`` or so at a time."""
    # a server may need a moment for the first batch: only without lag is an empty answer the end
    while (events := consumer.poll(0.0, limit)) or (
        consumer.lag() and (events := consumer.poll(PATIENCE, limit))
    ):
        yield from events
