"""The running program's picture: nothing in it can hurt the program."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.events import RunStarted, ServiceDegraded, TaskSubmitted, TryStarted
from parsl_diaspora.fabric import FlushReport
from parsl_diaspora.fabric.memory import MemoryFabric
from parsl_diaspora.fabric.relay import Hub, make_keys
from parsl_diaspora.state import Live
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
from tests.waiting import becomes, until

RUN = "0123456789"


class BrokenPublisher:
    source = "submit"

    def publish(self, event):
        raise OSError("the fabric is in flames")

    forward = publish

    def flush(self, timeout=5.0):
        return FlushReport(safe=0, waiting=0, lost=1)

    close = flush


class Listened(MemoryFabric):
    """Tells when somebody has taken up a place at the end of the stream."""

    def __init__(self):
        super().__init__()
        self.listened = threading.Event()

    def consumer(self, name, *, start="earliest"):
        consumer = super().consumer(name, start=start)
        self.listened.set()
        return consumer


class BrokenFabric(MemoryFabric):
    """Breaks where it is told to."""

    def __init__(self, *, publisher=False, consumer=False, poll=False):
        super().__init__()
        self.broken = {"publisher": publisher, "consumer": consumer, "poll": poll}
        self.polls = 0

    def publisher(self, source, *, buffer=0, immediate=True):
        return BrokenPublisher() if self.broken["publisher"] else super().publisher(source)

    def consumer(self, name, *, start="earliest"):
        if self.broken["consumer"]:
            raise OSError("the fabric is in flames")
        consumer = super().consumer(name, start=start)
        if self.broken["poll"]:
            good = consumer.poll

            def poll(timeout=0.0, limit=10_000):
                self.polls += 1
                if self.polls == 1:
                    raise OSError("the fabric is in flames")
                return good(timeout, limit)

            consumer.poll = poll
        return consumer


def submitted(task=0):
    return TaskSubmitted(task=task, try_id=0, executor="alder", func="simulate")


def started(task=0):
    return TryStarted(run=RUN, task=task, try_id=0, executor="alder", manager="m1")


def events_of(fabric):
    return fabric.consumer("test", start="earliest").poll()


@pytest.fixture
def running():
    made = []

    def make(fabric, **more):
        live = Live(fabric, RUN, "submit:host:1", **more)
        live.start()
        made.append(live)
        if isinstance(fabric, Listened):
            assert fabric.listened.wait(10)
        return live

    yield make
    for live in made:
        live.stop()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "diaspora-listener"]


def test_what_is_said_is_known_at_once_and_stands_in_the_fabric_with_the_run():
    fabric = MemoryFabric()
    live = Live(fabric, RUN, "submit:host:1")
    said = live.say(submitted())
    assert live.picture.tasks[0].func == "simulate"
    assert (said.run, said.source, said.seq) == (RUN, "submit:host:1", 1)
    assert events_of(fabric) == [said]


def test_say_never_raises_and_still_knows_when_the_fabric_is_broken(caplog):
    live = Live(BrokenFabric(publisher=True), RUN, "submit")
    for task in range(3):
        live.say(submitted(task))
    assert live.picture.counts == {"tries": 3}
    assert live.picture.first_time > 0
    assert live.faults == {"events": 3}
    assert len(caplog.records) == 1
    assert "in flames" in caplog.text


def test_a_fault_is_counted_each_time_and_said_once(caplog):
    fabric = MemoryFabric()
    live = Live(fabric, RUN, "submit")
    for _ in range(5):
        live.absorb("scaler", ValueError("odd"))
    live.absorb("router", ValueError("odd"))
    assert live.faults == {"scaler": 5, "router": 1}
    said = [event for event in events_of(fabric) if isinstance(event, ServiceDegraded)]
    assert [(event.part, event.why) for event in said] == [
        ("scaler", "ValueError: odd"),
        ("router", "ValueError: odd"),
    ]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "stock behaviour" in caplog.text


def test_what_is_said_soon_is_said_within_a_moment(running):
    fabric = Listened()
    live = running(fabric)
    live.say_soon(submitted())
    until(lambda: live.picture.tasks)
    assert [event.kind for event in events_of(fabric)] == ["task.submitted"]


def test_what_is_said_soon_stands_before_all_that_is_said_later(running):
    fabric = Listened()
    live = running(fabric)
    for task in range(0, 200, 2):
        live.say_soon(submitted(task))
        live.say(submitted(task + 1))
        assert len(live.picture.tasks) == task + 2
    assert [event.task for event in events_of(fabric)] == list(range(200))
    assert [event.seq for event in events_of(fabric)] == list(range(1, 201))


def test_what_is_said_soon_from_many_threads_is_said_once_and_in_the_order_of_each(running):
    fabric = Listened()
    live = running(fabric)

    def talk(first):
        for task in range(first, first + 3000):
            (live.say if task % 100 == 0 else live.say_soon)(submitted(task))

    threads = [threading.Thread(target=talk, args=(first,)) for first in (0, 10_000, 20_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.catch_up()
    said = [event.task for event in fabric.consumer("test", start="earliest").poll(0.0, 20_000)]
    assert len(said) == len(set(said)) == live.picture.counts["tries"] == 9_000
    for first in (0, 10_000, 20_000):
        assert [task for task in said if first <= task < first + 3000] == list(range(first, first + 3000))


def test_what_is_said_soon_is_not_lost_at_the_end(running):
    fabric = Listened()
    live = running(fabric)
    live.say_soon(submitted(0))
    live.stop()
    live.say_soon(submitted(1))
    assert sorted(live.picture.tasks) == [0, 1]


def test_what_is_said_soon_is_not_lost_when_a_program_ends_without_a_close(tmp_path):
    program = f"""
from parsl_diaspora import open_fabric
from parsl_diaspora.events import RunStarted, TaskSubmitted
from parsl_diaspora.state import Live
live = Live(open_fabric("file:{tmp_path}"), "r", "submit")
live.say(RunStarted())
live.start()
for task in range(100):
    live.say_soon(TaskSubmitted(task=task))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert len(events_of(open_fabric(f"file:{tmp_path}"))) == 101


def test_a_forked_child_does_not_say_what_waits_in_its_parent(running):
    live = running(Listened())
    with live._saying:  # so that it waits
        live.say_soon(submitted())
        if (child := os.fork()) == 0:
            live.say(submitted(1))
            os._exit(len(live.picture.tasks))
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_without_a_listener_what_is_said_soon_is_said_at_once():
    live = Live(MemoryFabric(), RUN, "submit")
    live.say_soon(submitted())
    assert live.picture.tasks[0].func == "simulate"


def test_others_are_heard_and_own_events_are_not_taken_twice(running):
    fabric = Listened()
    live = running(fabric)
    live.say(submitted())
    fabric.publisher("worker").publish(started())
    until(lambda: live.picture.tasks[0].tries[0].status == "running")
    assert live.picture.counts == {"tries": 1}
    assert live.picture.outstanding == {"alder": 1}


def test_events_that_workers_write_elsewhere_are_passed_on_to_the_fabric_once(running, tmp_path):
    fabric, nodes = MemoryFabric(), open_fabric(f"file:{tmp_path / 'nodes'}")
    worker = nodes.publisher("worker:n1:9", immediate=True)
    worker.publish(started(0))
    live = running(fabric, node_fabric=nodes)
    assert live.node_url == nodes.node_url
    worker.publish(started(1))
    until(lambda: len(live.picture.tasks) == 2)
    live.stop()
    assert [(event.source, event.task) for event in events_of(fabric)] == [
        ("worker:n1:9", 0),
        ("worker:n1:9", 1),
    ]
    assert live.picture.managers["m1"].started == 2
    worker.close()


def test_behind_a_relay_workers_are_heard_all_the_same_and_nothing_is_said_of_it(running, tmp_path, caplog):
    make_keys(tmp_path / "keys")
    read, nodes = open_fabric(f"file:{tmp_path / 'read'}"), open_fabric(f"file:{tmp_path / 'nodes'}")
    with Hub(read, tmp_path / "keys") as hub:
        fabric = open_fabric(f"spool:{tmp_path / 'spool'}?to={hub.url}")
        live = running(fabric, node_fabric=nodes)
        worker = open_fabric(live.inlet.node_url).publisher("worker:n1:9", immediate=True)
        worker.publish(started(1))
        until(lambda: len(live.picture.tasks) == 1)
        live.stop()
        assert fabric.drain(20.0)
        worker.close()
    assert [(event.source, event.task) for event in events_of(read)] == [("worker:n1:9", 1)]
    assert not caplog.text


def test_what_workers_said_last_is_taken_in_before_the_end(running, tmp_path):
    fabric, nodes = MemoryFabric(), open_fabric(f"file:{tmp_path / 'nodes'}")
    live = running(fabric, node_fabric=nodes)
    worker = nodes.publisher("worker", immediate=True)
    worker.publish(started())
    live.stop()
    assert live.picture.managers["m1"].started == 1
    worker.close()


def test_events_of_other_runs_on_a_shared_fabric_are_left_alone(running):
    fabric = Listened()
    live = running(fabric)
    heard = []
    live.listen(heard.append)
    fabric.publisher("other").publish(RunStarted(run="another"))
    until(lambda: heard)
    assert live.picture.started is None


def test_a_listener_is_told_of_own_and_of_others_events(running):
    fabric = Listened()
    live = running(fabric)
    heard = []
    live.listen(heard.append)
    live.say(submitted())
    fabric.publisher("worker").publish(started())
    until(lambda: len(heard) == 2)
    assert [event.kind for event in heard] == ["task.submitted", "task.try_started"]


def test_a_listener_that_raises_costs_nobody_an_event(running):
    fabric = Listened()
    live = running(fabric)
    live.listen(lambda event: 1 / 0)
    live.say(submitted())
    worker = fabric.publisher("worker")
    for task in range(3):
        worker.publish(started(task))
    until(lambda: live.picture.managers and live.picture.managers["m1"].started == 3)
    assert live.picture.counts["tries"] == 1
    assert live.faults["picture"] == 4


def test_a_poll_that_fails_is_said_and_listening_goes_on(running):
    fabric = BrokenFabric(poll=True)
    live = running(fabric)
    until(lambda: fabric.polls > 1)
    fabric.publisher("worker").publish(started())
    until(lambda: "m1" in live.picture.managers)
    assert live.faults["listener"] >= 1


def test_a_fabric_that_cannot_be_listened_to_is_said_and_the_program_goes_on(running, caplog):
    live = running(BrokenFabric(consumer=True))
    until(lambda: live.faults)
    assert set(live.faults) == {"listener"}
    live.say(submitted())
    assert live.picture.tasks


def test_it_ends_quietly_even_if_it_was_never_started():
    live = Live(MemoryFabric(), RUN, "submit")
    live.stop()
    live.stop()


def test_events_that_could_not_be_kept_are_counted_at_the_end(caplog):
    live = Live(BrokenFabric(publisher=True), RUN, "submit")
    live.say(submitted())
    live.stop()
    assert "1 events of this run could not be kept" in caplog.text


# --- what nobody waits for ---


def test_what_is_said_soon_is_said_before_anything_that_is_said_later(running):
    fabric = Listened()
    live = running(fabric)
    live.say_soon(submitted(0))
    live.say_soon(submitted(1))
    live.say(submitted(2))
    assert live.picture.counts == {"tries": 3}
    assert [event.task for event in events_of(fabric)] == [0, 1, 2]


def test_what_is_said_soon_bears_the_time_at_which_it_was_said_and_is_known_shortly_after(running):
    live = running(Listened())
    before = time.time()
    live.say_soon(submitted())
    after = time.time()
    until(lambda: live.picture.tasks)
    assert before <= live.picture.first_time <= after


def test_what_waits_to_be_said_is_bounded_and_said_at_the_end(running):
    fabric = Listened()
    live = running(fabric)
    for task in range(3_000):
        live.say_soon(submitted(task))
    live.stop()
    assert [event.task for event in events_of(fabric)] == list(range(3_000))


def test_without_a_listening_thread_nothing_waits():
    live = Live(MemoryFabric(), RUN, "submit")
    live.say_soon(submitted())
    assert live.picture.counts == {"tries": 1}


def test_many_threads_may_speak_at_once_and_each_events_number_is_its_place(running):
    fabric = Listened()
    live = running(fabric)

    def speak(first):
        for task in range(first, first + 200):
            (live.say if task % 2 else live.say_soon)(submitted(task))

    threads = [threading.Thread(target=speak, args=(1_000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.stop()
    events = events_of(fabric)
    assert [event.seq for event in events] == list(range(1, 801))
    assert live.picture.outstanding == {"alder": 800}
    for first in range(0, 4_000, 1_000):
        mine = [event.task for event in events if first <= event.task < first + 1_000]
        assert mine == sorted(mine)


@pytest.mark.parametrize("fault", ["hangs", "refuses"])
def test_silence_means_nothing_while_the_fabric_is_away_and_shortly_after(running, monkeypatch, fault):
    monkeypatch.setattr("parsl_diaspora.state.live.SLOW", 0.1)
    monkeypatch.setattr("parsl_diaspora.state.live.DEAF_FOR", 0.5)
    fabric = FaultyFabric(MemoryFabric())
    live = running(fabric)
    assert live.hears
    fabric.fault = fault
    live.say(submitted())
    assert becomes(lambda: not live.hears)
    fabric.fault = "up"
    assert not live.hears
    assert becomes(lambda: live.hears)
