"""All events of a log, each once, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Consumer, Fabric
from parsl_diaspora.state import Dedupe

CONSUMER = "reading"
PATIENCE = 1.0


class Reading:
    """One pass over a fabric. Nothing is committed.

    Args:
        fabric: to be read.

    Attributes:
        events: how many there were.
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

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self.events = 0
        self.dedupe = Dedupe()
        self.skipped = 0

    def __iter__(self) -> Iterator[Event]:
        consumer = self._fabric.consumer(CONSUMER, start="earliest")
        try:
            for event in _all(consumer):
                if self.dedupe.is_new(event):
                    self.events += 1
                    yield event
        finally:
            self.skipped = consumer.skipped()
            consumer.close()


def _all(consumer: Consumer) -> Iterator[Event]:
    # a server may need a moment for the first batch: only without lag is an empty answer the end
    while (events := consumer.poll()) or (consumer.lag() and (events := consumer.poll(PATIENCE))):
        yield from events
