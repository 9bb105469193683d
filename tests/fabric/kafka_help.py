"""Help for the tests of Kafka."""

from __future__ import annotations

import time
from contextlib import contextmanager

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric


@contextmanager
def opened(url, source="speaker", **options):
    """A fabric and a publisher of it, closed afterwards."""
    fabric = open_fabric(url)
    publisher = fabric.publisher(source, **options)
    try:
        yield fabric, publisher
    finally:
        publisher.close(0.2)
        fabric.close()


def say(publisher, numbers, run="r"):
    for number in numbers:
        publisher.publish(TaskSubmitted(run=run, task=number))


def read(consumer, count, patience=20.0):
    """The next ``count`` different events, in the order in which they come."""
    events = {}
    deadline = time.monotonic() + patience
    while len(events) < count and time.monotonic() < deadline:
        for event in consumer.poll(0.1):
            events.setdefault(event.id, event)
    return list(events.values())


def tasks(events):
    return [event.task for event in events]
