"""A task that waits in the interchange is handed out or taken back, never both and never neither."""

from __future__ import annotations

import os
import random
import threading

import pytest
from parsl.executors.high_throughput.interchange import SortedList

from parsl_diaspora.executors.agent.pending import Pending, held_by

SEED = int(os.environ.get("TEST_SEED", "20"))


def entry(number, priority=0):
    return (priority, -number, {"task_id": number})


def queue_of(*numbers):
    return SortedList([entry(number) for number in numbers], key=lambda each: (each[0], each[1]))


def popped(queue):
    return [queue.pop()[-1]["task_id"] for _ in range(len(queue))]


def test_a_task_that_waits_is_taken_back_and_no_other():
    pending = Pending()
    queue = pending.guard(queue_of(1, 2, 3))
    assert pending.withdraw({2}) == {2}
    assert popped(queue) == [1, 3]


def test_a_task_that_was_handed_out_is_not_taken_back():
    pending = Pending()
    queue = pending.guard(queue_of(1, 2))
    queue.pop()
    assert pending.withdraw({1}) == set()
    assert pending.withdraw({1, 2}) == {2}
    assert held_by({1, 2}, [{"tasks": [1, 5]}, {}]) == {1}


def test_a_task_that_is_still_on_its_way_is_taken_back_when_it_comes():
    pending = Pending()
    queue = pending.guard(queue_of())
    assert pending.withdraw({1}) == set()
    queue.add(entry(1))
    queue.add(entry(2))
    assert pending.withdraw({1}) == {1}
    assert popped(queue) == [2]


def test_before_anything_was_handed_out_all_is_taken_back_even_what_has_not_come():
    pending = Pending()
    assert pending.withdraw({1, 9}) == {1, 9}
    queue = pending.guard(queue_of(1, 2))
    queue.add(entry(9))
    assert popped(queue) == [2]
    assert pending.withdraw({9}) == {9}


def test_it_stands_in_for_the_queue():
    queue = Pending().guard(queue_of(1, 2))
    assert bool(queue)
    assert len(queue) == 2
    assert [each[-1]["task_id"] for each in queue] == [2, 1]
    queue.clear()
    assert not queue
    with pytest.raises(IndexError):
        queue.pop()


def test_entries_of_another_form_pass():
    queue = Pending().guard(SortedList())
    queue.add((1, 2))
    assert queue.pop() == (1, 2)


def test_under_two_threads_each_task_has_one_fate():
    print(f"seed {SEED}")
    draw, pending, count = random.Random(SEED), Pending(), 2_000
    queue = pending.guard(queue_of())
    handed_out, withdrawn = [], set()
    ended = threading.Event()

    def interchange():
        for number in range(count):
            queue.add(entry(number))
            if draw.random() < 0.4 and queue:
                handed_out.append(queue.pop()[-1]["task_id"])
        ended.set()

    thread = threading.Thread(target=interchange)
    thread.start()
    asked = list(range(0, count, 3))
    draw.shuffle(asked)
    while asked:
        batch = {asked.pop() for _ in range(min(20, len(asked)))}
        withdrawn |= pending.withdraw(batch)
    thread.join(20)
    assert ended.is_set()
    withdrawn |= pending.withdraw(set(range(0, count, 3)))
    left = popped(queue)
    assert sorted([*handed_out, *left, *withdrawn]) == list(range(count))
