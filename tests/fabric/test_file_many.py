"""Many events at once, and a reader that leaves one source out: the same as one by one, for less."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import EventsLost, TaskSubmitted, Unknown
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.protocols import LeavesOut, PublishesMany


def events(count):
    return [TaskSubmitted(run="r", task=number, func="simulate") for number in range(count)]


@pytest.fixture
def fabric(tmp_path):
    return open_fabric(f"file:{tmp_path}/events")


def read(fabric):
    return fabric.consumer("reader").poll()


def test_many_at_once_are_numbered_and_read_in_their_order(fabric):
    publisher = fabric.publisher("me")
    assert isinstance(publisher, PublishesMany)
    publisher.publish(TaskSubmitted(run="r", task=100))
    publisher.publish_all(events(50))
    publisher.publish(TaskSubmitted(run="r", task=101))
    assert publisher.close().safe == 52
    found = read(fabric)
    assert [event.seq for event in found] == list(range(1, 53))
    assert [event.task for event in found] == [100, *range(50), 101]
    assert {event.source for event in found} == {"me"}
    assert all(event.time and event.mono for event in found)


def test_none_at_all_change_nothing(fabric):
    publisher = fabric.publisher("me")
    publisher.publish_all([])
    publisher.publish(TaskSubmitted(run="r", task=1))
    publisher.close()
    assert [event.seq for event in read(fabric)] == [1]


def test_one_that_cannot_be_kept_costs_none_of_the_others(fabric):
    publisher = fabric.publisher("me")
    odd = Unknown(run="r", said_kind="odd", data={"run": "r", "what": object()})
    publisher.publish_all([*events(2), odd, *events(2)])
    assert publisher.close().lost == 1
    found = read(fabric)
    assert [event.task for event in found if type(event) is TaskSubmitted] == [0, 1, 0, 1]
    assert [event.count for event in found if type(event) is EventsLost] == [1]
    assert [event.seq for event in found] == [1, 2, 3, 4, 5]


def test_more_than_there_is_room_for_are_counted_as_lost(fabric):
    publisher = fabric.publisher("me", buffer=10)
    publisher.publish_all(events(30))
    report = publisher.close()
    assert report.lost >= 20 - 10  # the thread may have made room meanwhile
    found = read(fabric)
    assert sum(event.count for event in found if type(event) is EventsLost) == report.lost
    assert [event.seq for event in found] == list(range(1, len(found) + 1))


def test_a_reader_passes_over_the_segments_of_the_source_that_it_leaves_out(fabric):
    mine, other = fabric.publisher("me"), fabric.publisher("other")
    mine.publish_all(own := events(3))
    mine.flush()
    other.publish(TaskSubmitted(run="r", task=7))
    other.flush()
    consumer = fabric.consumer("live")
    assert isinstance(consumer, LeavesOut)
    consumer.leave_out(own[0].boot)
    assert [event.task for event in consumer.poll()] == [7]
    mine.publish(TaskSubmitted(run="r", task=8))
    mine.close()
    other.publish(TaskSubmitted(run="r", task=9))
    other.close()
    assert [event.task for event in consumer.poll()] == [9]
