"""Tasks are sent in order, to whichever interchange is there, and nobody who submits one has to wait."""

from __future__ import annotations

import os
import threading
import time

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st
from parsl.executors.high_throughput.zmq_pipes import ResultsIncoming, TasksOutgoing

from parsl_diaspora.executors.keeping.pipes import Inbox, Outbox
from tests.executors.fakes import FakeQueue

PORTS = (28_000 + os.getpid() % 40 * 50, 28_050 + os.getpid() % 40 * 50)


class Reader:
    """The interchange's end of a pipe."""

    def __init__(self, port):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def numbers(self, count, timeout=10_000):
        found = []
        while len(found) < count and self.socket.poll(timeout):
            found.append(self.socket.recv_pyobj()["task_id"])
        return found

    def close(self):
        self.socket.close()
        self.context.term()


@pytest.fixture
def readers():
    made = []

    def connect(pipe):
        made.append(Reader(pipe.port))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.fixture
def outbox():
    made = Outbox(TasksOutgoing("127.0.0.1", PORTS))
    yield made
    made.close()


def put(outbox, *numbers):
    for number in numbers:
        outbox.put({"task_id": number, "buffer": b"x" * 1000})


def flushed(outbox, reader, count):
    """What arrives while the outbox is flushed again and again, as its keeper does."""
    until, found = time.monotonic() + 10, []
    while len(found) < count and time.monotonic() < until:
        outbox.flush()
        found += reader.numbers(count - len(found), 100)
    return found


def test_without_an_interchange_nobody_waits_and_nothing_is_lost(outbox, readers):
    began = time.monotonic()
    put(outbox, *range(100))
    assert time.monotonic() - began < 5
    assert flushed(outbox, readers(outbox), 100) == list(range(100))


def test_with_an_interchange_tasks_go_at_once(outbox, readers):
    reader = readers(outbox)
    put(outbox, 0)
    assert flushed(outbox, reader, 1) == [0]
    put(outbox, 1, 2)
    assert reader.numbers(2) == [1, 2]
    assert outbox.hold() == set()


def test_what_is_held_is_known_and_goes_in_order_to_the_new_interchange(outbox, readers):
    reader = readers(outbox)
    put(outbox, 1)
    assert flushed(outbox, reader, 1) == [1]
    assert outbox.hold() == set()
    put(outbox, 2, 3)
    outbox.flush()
    assert reader.numbers(1, 200) == []
    outbox.replace(TasksOutgoing("127.0.0.1", PORTS))
    put(outbox, 4)
    assert outbox.hold() == {2, 3, 4}
    new = readers(outbox)
    outbox.release()
    assert flushed(outbox, new, 3) == [2, 3, 4]
    assert reader.numbers(1, 100) == []


def test_what_is_forgotten_is_not_sent(outbox, readers):
    outbox.hold()
    put(outbox, 1, 2, 3)
    outbox.forget({1, 3})
    outbox.release()
    assert flushed(outbox, readers(outbox), 1) == [2]


def test_closing_does_not_wait_for_an_interchange_that_takes_nothing(readers):
    outbox = Outbox(TasksOutgoing("127.0.0.1", PORTS))
    reader = readers(outbox)
    put(outbox, 0)
    assert flushed(outbox, reader, 1) == [0]
    for number in range(2000):  # more than the kernel takes for a reader that does not read
        outbox.put({"task_id": number, "buffer": b"x" * 10_000})
    closing = threading.Thread(target=outbox.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()


class Plain:
    """A queue without the seam that we use."""

    def __init__(self):
        self.sent = []
        self.port = 3

    def put(self, message):
        self.sent.append(message["task_id"])

    def close(self):
        pass


@given(st.lists(st.sampled_from(["put", "hold", "release", "flush", "replace"]), max_size=40))
def test_whatever_happens_each_task_goes_once_and_in_order(steps):
    queues = [Plain()]
    outbox, number = Outbox(queues[0]), 0
    for step in steps:
        if step == "put":
            put(outbox, number)
            number += 1
        elif step == "replace":
            queues.append(Plain())
            outbox.replace(queues[-1])
        else:
            getattr(outbox, step)()
    outbox.release()
    assert [each for queue in queues for each in queue.sent] == list(range(number))


# --- results ---


def test_another_queue_is_taken_over_by_the_thread_that_reads():
    old, new = FakeQueue(b"one", b"two"), FakeQueue(b"three")
    new.port = 5
    inbox = Inbox(old)
    assert (inbox.get(timeout_ms=1), inbox.port) == (b"one", old.port)
    inbox.replace(new)
    assert inbox.port == 5
    assert not old.closed
    assert inbox.get(timeout_ms=1) == b"three"
    assert old.closed
    inbox.close()
    assert new.closed


def test_a_queue_that_was_replaced_before_it_was_read_is_closed_too():
    queues = [FakeQueue() for _ in range(3)]
    inbox = Inbox(queues[0])
    inbox.replace(queues[1])
    inbox.replace(queues[2])
    inbox.close()
    assert all(queue.closed for queue in queues)


def test_results_of_parsls_own_queues_arrive_through_one_inbox(readers):
    inbox = Inbox(ResultsIncoming("127.0.0.1", PORTS))
    readers(inbox).socket.send(b"one")
    inbox.replace(ResultsIncoming("127.0.0.1", PORTS))
    readers(inbox).socket.send(b"two")
    raw = inbox.get(timeout_ms=10_000)
    assert (raw[0] if isinstance(raw, list) else raw) == b"two"
    inbox.close()
