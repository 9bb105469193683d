"""What is special to the fabric inside one process."""

from __future__ import annotations

import uuid

from parsl_diaspora.events import EventsLost, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.memory import MemoryFabric
from parsl_diaspora.fabric.protocols import Publisher


def say(publisher: Publisher, numbers):
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number))


def test_named_fabric_is_shared_and_unnamed_ones_are_not():
    name = f"memory:{uuid.uuid4().hex}"
    assert open_fabric(name) is open_fabric(name)
    assert open_fabric("memory:") is not open_fabric("memory:")


def test_consumer_that_falls_behind_the_capacity_is_told_how_many_it_missed():
    fabric = MemoryFabric(capacity=10)
    consumer = fabric.consumer("reader")
    say(fabric.publisher("s"), range(25))
    lost, *kept = consumer.poll()
    assert isinstance(lost, EventsLost)
    assert lost.count == 15
    assert [event.task for event in kept] == list(range(15, 25))
    assert (consumer.skipped(), consumer.lag()) == (1, 0)


def test_each_report_of_missed_events_is_an_event_of_its_own():
    fabric = MemoryFabric(capacity=1)
    consumer = fabric.consumer("reader")
    reports = []
    for _ in range(3):
        say(fabric.publisher("s"), range(3))
        reports.append(consumer.poll()[0])
    assert len({event.id for event in reports}) == 3
    assert all(event.time for event in reports)


def test_consumer_that_starts_late_at_a_full_fabric_is_told_of_no_loss():
    fabric = MemoryFabric(capacity=2)
    say(fabric.publisher("s"), range(5))
    assert [event.task for event in fabric.consumer("reader").poll()] == [3, 4]
