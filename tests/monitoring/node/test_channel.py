"""How events leave a node, and how orders reach it, with a clock of the test's own."""

from __future__ import annotations

import os

from parsl_diaspora import open_fabric
from parsl_diaspora.events import NodeEnding, WorkerEnded, decode
from parsl_diaspora.executors.supervision.orders import OrdersBox
from parsl_diaspora.monitoring.node.channel import TOLD_FOR, Channel
from parsl_diaspora.monitoring.node.inbox import Inbox, file_system
from parsl_diaspora.state import read_events

PLACE = {"run": "r", "executor": "cpu", "block": "0", "manager": "m1", "node": "n1"}


class Clock:
    time = 100.0

    def __call__(self):
        return self.time


def channel(url, clock=None):
    return Channel(url, "node:n1:7", dict(PLACE), clock or Clock())


def test_events_carry_the_place_and_what_is_said_of_it(tmp_path):
    made = channel(f"file:{tmp_path}")
    made.say(WorkerEnded(worker=3))
    made.say(NodeEnding(manager="m0"))
    made.close()
    first, second = read_events(open_fabric(f"file:{tmp_path}"))
    assert {part: getattr(first, part) for part in PLACE} == PLACE
    assert (first.worker, first.source) == (3, "node:n1:7")
    assert second.manager == "m0"
    assert made.beside() == []


def test_without_a_fabric_events_are_told_beside_it_for_a_while():
    clock = Clock()
    made = channel("", clock)
    made.say(NodeEnding(reason="first"))
    clock.time += TOLD_FOR - 1
    made.say(NodeEnding(reason="second"))
    told = [decode(text.encode(), "json") for text in made.beside()]
    assert [event.reason for event in told] == ["first", "second"]
    assert [event.seq for event in told] == [1, 2]
    assert len({event.boot for event in told}) == 1
    assert (told[0].node, made.changes) == ("n1", 2)
    clock.time += 2
    assert len(made.beside()) == 1
    clock.time += TOLD_FOR
    assert made.beside() == []


def test_a_directory_that_this_node_does_not_see_is_not_made(tmp_path):
    made = channel(f"file:{tmp_path / 'nowhere'}")
    assert not (tmp_path / "nowhere").exists()
    assert made.faults == {"fabric": 1}
    assert [decode(text.encode(), "json").kind for text in made.beside()] == ["service.degraded"]


def test_a_fault_is_counted_and_said_once():
    made = channel("")
    for _ in range(3):
        made.absorb("samples", OSError("no /proc"))
    (said,) = [decode(text.encode(), "json") for text in made.beside()]
    assert (said.part, said.why) == ("node supervisor: samples", "no /proc")
    assert made.faults == {"samples": 3}


def test_what_no_backend_takes_is_told_beside(tmp_path):
    made = channel("no-such-fabric:")
    made.say(NodeEnding(reason="end"))
    assert len(made.beside()) == 2


# ---------------------------------------------------------------- orders


def kinds(messages):
    return [message["kind"] for message in messages]


def test_orders_are_taken_once_in_their_order_and_by_whom_they_are_for(tmp_path):
    box, inbox = OrdersBox(tmp_path), Inbox(tmp_path)
    assert inbox.take(0.0, PLACE) == []
    box.give({"node": "n1"}, {"kind": "a"})
    box.give({"node": "n2"}, {"kind": "b"})
    box.give({}, {"kind": "c"})
    assert kinds(inbox.take(1.0, PLACE)) == ["a", "c"]
    assert inbox.take(2.0, PLACE) == []
    box.give({"manager": "m1"}, {"kind": "d"})
    assert kinds(inbox.take(3.0, PLACE)) == ["d"]


def test_an_order_within_the_same_tick_of_the_file_systems_clock_is_seen(tmp_path):
    box, inbox = OrdersBox(tmp_path), Inbox(tmp_path)
    box.give({}, {"kind": "a"})
    before = os.stat(tmp_path).st_mtime_ns
    assert kinds(inbox.take(1.0, PLACE)) == ["a"]
    box.give({}, {"kind": "b"})
    os.utime(tmp_path, ns=(before, before))
    assert kinds(inbox.take(2.0, PLACE)) == ["b"]


def test_it_is_not_looked_more_often_than_the_file_system_bears(tmp_path):
    box, inbox = OrdersBox(tmp_path), Inbox(tmp_path)
    inbox.period = 1.0
    inbox.take(1.0, PLACE)
    box.give({}, {"kind": "a"})
    assert inbox.take(1.5, PLACE) == []
    assert kinds(inbox.take(2.0, PLACE)) == ["a"]


def test_what_is_no_order_is_counted_and_a_missing_directory_is_awaited(tmp_path):
    inbox = Inbox(tmp_path / "orders")
    assert inbox.take(0.0, PLACE) == []
    box = OrdersBox(tmp_path / "orders")
    (box.directory / "0.order").write_text("{")
    box.give({}, {"kind": "a"})
    assert kinds(inbox.take(1.0, PLACE)) == ["a"]
    assert inbox.unreadable == 1


def test_the_kind_of_a_file_system_is_known():
    assert file_system("/proc") == "proc"
