"""Servers that die, freeze and come back, and records that no server takes."""

from __future__ import annotations

import logging
import random
import time
import uuid

import pytest

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import EventsLost, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.diaspora_stream import wire
from tests.fabric.stream_help import StreamServer, side_processes
from tests.fabric.test_diaspora_stream import read, say, tasks
from tests.waiting import becomes

PATIENCE = 2.0


@pytest.fixture
def server(tmp_path, stand_in):
    server = StreamServer(tmp_path)
    yield server
    server.thaw()
    server.kill()


@pytest.fixture
def url(server):
    return server.url(uuid.uuid4().hex[:12], patience=PATIENCE)


def speak(publisher, numbers):
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number))


def took(call):
    started = time.monotonic()
    result = call()
    return result, time.monotonic() - started


def test_frozen_server_freezes_nobody_here_and_everything_arrives_when_it_thaws(server, url):
    fabric = open_fabric(url)
    consumer = fabric.consumer("reader")
    publisher = say(fabric, range(20))
    events = read(consumer, 20)
    server.freeze()
    for number in range(20, 120):
        assert took(lambda number=number: publisher.publish(TaskSubmitted(task=number)))[1] < 0.5
    report, seconds = took(lambda: publisher.flush(0.3))
    assert (report.safe, report.waiting) == (20, 100)
    assert seconds < 1.3
    assert took(lambda: consumer.poll(0.2))[1] < 1.2
    assert took(lambda: fabric.publisher("other", immediate=True).publish(TaskSubmitted(task=-1)))[1] < 1.5
    server.thaw()
    assert publisher.flush(30.0).safe == 120
    events += read(consumer, 121 - len(events))
    assert [task for task in tasks(events) if task >= 0] == list(range(120))
    consumer.close()


def test_frozen_server_is_noticed_and_said_in_bounded_time(server, url, caplog):
    fabric = open_fabric(url)
    consumer = fabric.consumer("reader")
    publisher = say(fabric, range(1))
    server.freeze()
    publisher.publish(TaskSubmitted())
    with caplog.at_level(logging.WARNING):
        assert becomes(lambda: "stream wait" in caplog.text, 3 * PATIENCE + 5)
        with pytest.raises(FabricUnavailable, match="has not been readable"):
            _poll_for(consumer, 3 * PATIENCE + 10)
    opened, seconds = took(lambda: _opened(fabric))
    assert not opened
    assert seconds < PATIENCE + 2
    server.thaw()
    assert publisher.flush(30.0).safe == 2
    assert becomes(lambda: "go on" in caplog.text)
    consumer.close()


def _poll_for(consumer, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        consumer.poll(0.2)


def _opened(fabric):
    try:
        fabric.consumer("late").close()
    except FabricUnavailable:
        return False
    return True


@pytest.mark.parametrize("transport", ["ofi+tcp", "na+sm"])
def test_server_killed_in_the_middle_costs_nothing(tmp_path, stand_in, transport):
    """By shared memory the binding never says that its server is gone: only our patience ends it."""
    server = StreamServer(tmp_path, transport)
    fabric = open_fabric(server.url("tasks", patience=PATIENCE))
    consumer = fabric.consumer("reader")
    publisher = fabric.publisher("me")
    speak(publisher, range(3000))
    assert becomes(lambda: publisher.report().safe > 0)
    server.kill()
    speak(publisher, range(3000, 4000))
    time.sleep(0.5)
    server.start()
    assert publisher.flush(40.0).safe == 4000
    assert tasks(read(consumer, 4000, 30)) == list(range(4000))
    assert consumer.skipped() == 0
    for each in (publisher, consumer):
        each.close()
    server.kill()


@pytest.mark.parametrize("times", [2, pytest.param(15, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_server_that_dies_again_and_again_loses_no_event_and_no_position(server, url, times):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    fabric = open_fabric(url)
    publisher = fabric.publisher("me")
    events, said = [], 0
    for _ in range(times):
        speak(publisher, range(said, said := said + 200))
        time.sleep(chance.uniform(0.0, 0.3))
        server.kill()
        time.sleep(chance.uniform(0.0, 0.3))
        server.start()
        assert becomes(lambda: _opened(fabric), 20)
        consumer = fabric.consumer("reader")
        events += read(consumer, chance.randrange(1, 200))
        consumer.commit()
        consumer.close()
    assert publisher.flush(30.0).safe == said
    consumer = fabric.consumer("reader")
    events += read(consumer, said - len({event.id for event in events}))
    assert list(dict.fromkeys(tasks(events))) == list(range(said))
    consumer.close()


def test_quiet_consumer_notices_by_a_heartbeat_that_the_server_is_gone(server, url):
    fabric = open_fabric(url)
    consumer = fabric.consumer("reader")
    assert consumer.poll(0.1) == []
    server.kill()
    with pytest.raises(FabricUnavailable, match="server running"):
        _poll_for(consumer, 3 * PATIENCE + 10)
    server.start()
    say(fabric, range(3))
    assert tasks(read(consumer, 3)) == [0, 1, 2]
    consumer.close()


def test_writer_starts_while_the_server_is_down(server, url):
    server.kill()
    fabric = open_fabric(url)
    publisher = fabric.publisher("me")
    speak(publisher, range(10))
    assert publisher.flush(0.5).waiting == 10
    with pytest.raises(FabricUnavailable, match="Is the server running"):
        fabric.consumer("reader")
    server.start()
    assert publisher.flush(30.0).safe == 10
    consumer = fabric.consumer("reader")
    assert tasks(read(consumer, 10)) == list(range(10))
    consumer.close()


def test_record_that_the_server_always_refuses_is_given_up_alone_and_said(url):
    """The stand-in's partitions refuse what says POISON, as a topic's validator may."""
    fabric = open_fabric(url)
    publisher = fabric.publisher("me")
    for number in range(30):
        publisher.publish(TaskSubmitted(task=number, func="POISON" if number == 10 else "good"))
    report = publisher.flush(20.0)
    assert (report.waiting, report.lost) == (0, 1)
    consumer = fabric.consumer("reader")
    events = read(consumer, 30)
    assert [event.task for event in events if isinstance(event, TaskSubmitted)] == [
        number for number in range(30) if number != 10
    ]
    (lost,) = [event for event in events if isinstance(event, EventsLost)]
    assert lost.count == 1
    assert "refused" in lost.why
    consumer.close()


def test_refused_record_leaves_the_count_right_when_the_process_is_replaced(server, url):
    publisher = open_fabric(url).publisher("me")
    speak(publisher, range(5))
    assert publisher.flush(20.0).safe == 5
    server.freeze()
    publisher.publish(TaskSubmitted(task=5))
    publisher.publish(TaskSubmitted(task=6))
    publisher.publish(TaskSubmitted(task=7))
    publisher.flush(0.2)
    publisher.heard(wire.Refused(publisher.channel, 7, "a validator says no"))
    for side in side_processes():
        side.kill()
    server.thaw()
    report = publisher.flush(20.0)
    assert (report.safe, report.waiting, report.lost) == (8, 0, 1)  # the loss is said in an event of its own
    publisher.close()


def test_spool_before_a_stream_keeps_what_is_said_while_the_server_is_gone(server, url, tmp_path):
    fabric = open_fabric(f"spool:{tmp_path / 'spool'}?to={url}")
    publisher = fabric.publisher("me")
    speak(publisher, range(500))
    assert publisher.flush(5.0).safe == 500
    assert becomes(lambda: fabric.report().forwarded > 0, 20)
    server.kill()
    speak(publisher, range(500, 1000))
    assert publisher.flush(5.0).safe == 1000
    server.start()
    assert fabric.drain(60.0)
    consumer = fabric.consumer("reader")
    events = {event.id: event.task for event in read(consumer, 1000, 30)}
    assert list(events.values()) == list(range(1000))
    consumer.close()
    publisher.close()
    fabric.close()
