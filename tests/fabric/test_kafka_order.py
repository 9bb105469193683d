"""Each publisher's order is restored over partitions, with bounds on what is held back and for how long."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.kafka.order import Order

PARTS = [("tasks", 0), ("tasks", 1), ("failures", 0)]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def begun(clock, **options):
    order = Order(clock=clock, **options)
    for part in PARTS:
        order.begin(part)
    return order


def taken(order):
    order.settle()
    numbers = [met.event.seq for met in order.ready]
    order.ready.clear()
    return numbers


@given(st.data())
def test_any_spread_over_partitions_is_read_in_order(data):
    """Whatever the partition of each event, and however the partitions are interleaved when they are read."""
    lives = ["left", "right"]
    queues = {part: deque() for part in PARTS}
    for number in range(1, 25):
        for life in lives:
            queues[data.draw(st.sampled_from(PARTS))].append((life, number))
    order = begun(Clock())
    met = []
    while waiting := [part for part, queue in queues.items() if queue]:
        part = data.draw(st.sampled_from(waiting))
        life, number = queues[part].popleft()
        order.add(part, 0, Event(seq=number, source=life), f"{life}-{number}")
        if not queues[part]:
            order.end(part)
        order.settle()
        met.extend((each.event.source, each.event.seq) for each in order.ready)
        order.ready.clear()
    for life in lives:
        assert [number for source, number in met if source == life] == list(range(1, 25))
    assert order.held == 0


def test_event_waits_until_all_other_partitions_are_read_and_a_while_longer(clock):
    order = begun(clock)
    order.add(PARTS[0], 0, Event(seq=5), "life-5")
    assert taken(order) == []
    for number in range(3):  # the other partitions may still have it: they are being read
        clock.now += 20.0
        for part in PARTS[1:]:
            order.add(part, number, Event(seq=1), "")
        assert taken(order) == [1, 1]
    order.end(PARTS[1])
    assert taken(order) == []
    order.end(PARTS[2])
    assert taken(order) == [5]


def test_partition_that_was_at_its_end_before_may_have_more_since_then(clock):
    """As one that cannot be reached for a while after its server was killed."""
    order = begun(clock, wait=0.5)
    for part in PARTS:
        order.end(part)
    order.add(PARTS[0], 0, Event(seq=2), "life-2")
    clock.now += 5.0
    assert order.overdue()
    assert taken(order) == []
    order.add(PARTS[1], 0, Event(seq=1), "other-1")
    assert taken(order) == [1]
    order.end(PARTS[2])
    assert taken(order) == []
    order.add(PARTS[1], 1, Event(seq=1), "life-1")
    assert taken(order) == [1, 2]


def test_end_counts_from_when_it_was_asked_for(clock):
    order = begun(clock, wait=0.5)
    order.add(PARTS[0], 0, Event(seq=2), "life-2")
    clock.now += 2.0
    for part in PARTS[1:]:
        order.end(part, clock.now - 1.6)
    assert taken(order) == []
    for part in PARTS[1:]:
        order.end(part, clock.now - 1.4)
    assert taken(order) == [2]


def test_partition_that_says_nothing_any_more_is_not_waited_for_for_ever(clock):
    order = begun(clock)
    order.add(PARTS[0], 0, Event(seq=2), "life-2")
    clock.now += 29.0
    assert taken(order) == []
    clock.now += 2.0
    assert taken(order) == [2]


def test_event_that_arrives_at_the_end_of_all_waits_for_those_on_their_way(clock):
    order = begun(clock, wait=0.5)
    for part in PARTS:
        order.end(part)
    order.add(PARTS[0], 0, Event(seq=2), "life-2")
    clock.now += 0.4
    assert not order.overdue()
    for part in PARTS:
        order.end(part)
    assert taken(order) == []
    order.add(PARTS[1], 0, Event(seq=1), "life-1")
    assert taken(order) == [1, 2]
    order.add(PARTS[0], 1, Event(seq=9), "life-9")
    clock.now += 0.6
    assert order.overdue()
    assert taken(order) == []
    for part in PARTS:
        order.end(part)
    assert taken(order) == [9]


def test_many_gaps_are_waited_for_together(clock):
    order = begun(clock)
    for number in range(2, 2000, 2):
        order.add(PARTS[0], number, Event(seq=number), f"life-{number}")
    clock.now += 0.6
    for part in PARTS:
        order.end(part)
    assert taken(order) == list(range(2, 2000, 2))


def test_partition_that_has_passed_the_missing_one_is_not_waited_for(clock):
    order = begun(clock)
    order.add(PARTS[0], 0, Event(seq=5), "life-5")
    order.add(PARTS[1], 0, Event(seq=6), "life-6")
    order.add(PARTS[2], 0, Event(seq=7), "life-7")
    assert taken(order) == [5, 6, 7]


def test_no_more_is_held_back_than_there_is_room_for(clock):
    order = begun(clock, most=10)
    for number in range(2, 22):
        order.add(PARTS[0], number, Event(seq=number), f"{'even' if number % 2 == 0 else 'odd'}-{number + 1}")
        taken(order)
        assert order.held <= 10


def test_duplicates_and_late_ones_are_given_at_once(clock):
    order = begun(clock)
    for number in (1, 2, 2, 1, 3):
        order.add(PARTS[0], number, Event(seq=number), f"life-{number}")
    assert taken(order) == [1, 2, 2, 1, 3]


@pytest.mark.parametrize("sent", ["", "no number", "life-x", "-5"])
def test_records_without_a_number_are_given_as_they_come(clock, sent):
    order = begun(clock)
    order.add(PARTS[0], 0, Event(seq=4), sent)
    assert taken(order) == [4]


def test_what_is_held_back_is_known_with_its_place(clock):
    order = begun(clock)
    order.add(PARTS[0], 7, Event(seq=4), "life-4")
    assert [(met.part, met.offset) for met in order.pending()] == [(PARTS[0], 7)]
    assert order.awaited() == set(PARTS[1:])
