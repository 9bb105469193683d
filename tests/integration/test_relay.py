"""Runs whose workers publish through the relay of the submitting program."""

from __future__ import annotations

import socket
import stat
import time
import uuid
from collections import Counter

import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.events import RunEnded, ServiceDegraded, TryStarted
from parsl_diaspora.fabric.file.segment import segment_names
from tests.integration.apps import spin, wait_for_order
from tests.integration.looking import LONG


def relay_of(program):
    return program.kernel.memoizer.session.relay


def raw_events(url):
    """All events as they lie in the log, those that came twice included."""
    consumer = open_fabric(url).consumer("raw")
    events = []
    while batch := consumer.poll():
        events.extend(batch)
    return events


def address_of(relay):
    host, _, port = relay.url_for("near").removeprefix("relay:").partition("?")[0].rpartition(":")
    return host, int(port)


def test_all_events_of_workers_come_once_and_in_order_and_nothing_listens_afterwards(program, tmp_path):
    program.load(program.pool("near", workers=3), relay="on")
    relay = relay_of(program)
    address = address_of(relay)
    assert address[0] == "127.0.0.1"
    keys = tmp_path / "runinfo" / "000" / "relay"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (keys, *sorted(keys.iterdir()))] == [
        0o700,
        0o600,
        0o600,
    ]
    futures = [spin(number, 0.02) for number in range(60)]
    assert [future.result(60) for future in futures] == [number**2 for number in range(60)]
    program.close()

    events = raw_events(program.url)
    assert sorted(event.task for event in events if isinstance(event, TryStarted)) == list(range(60))
    workers = [event for event in events if event.source.startswith("worker:")]
    assert len({event.boot for event in workers}) > 1
    last = Counter()
    for event in workers:
        assert event.seq == last[event.boot] + 1, "an event of a worker came twice, or out of order"
        last[event.boot] = event.seq
    written_by = {name.partition(".")[0] for name in segment_names(tmp_path / "log")}
    assert "relay" in written_by
    assert len(written_by) == 2, "a worker has written a segment of its own"
    assert not keys.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_workers_of_a_run_in_memory_reach_it_through_the_relay(program, tmp_path):
    program.url = f"memory:{uuid.uuid4().hex}"
    program.load(program.pool("near"))
    assert relay_of(program) is not None
    assert [spin(number, 0.0).result(60) for number in range(10)] == [number**2 for number in range(10)]
    started = [event.task for event in program.events() if isinstance(event, TryStarted)]
    assert sorted(started) == list(range(10))
    beside = open_fabric(f"file:{tmp_path / 'runinfo' / '000' / 'worker_events'}").consumer("test").poll()
    assert {event.source.partition(":")[0] for event in beside} <= {"node"}  # last words after the hub's end


def test_run_with_a_log_that_workers_reach_has_no_relay_unless_asked(program):
    program.load(program.pool("near"))
    assert relay_of(program) is None
    assert spin(3, 0.0).result(60) == 9


@pytest.mark.slow
@pytest.mark.parametrize("fabric", ["file", "memory"])
def test_run_whose_hub_ends_in_the_middle_loses_neither_results_nor_events(program, fabric):
    if fabric == "memory":
        program.url = f"memory:{uuid.uuid4().hex}"
    program.load(program.pool("near", workers=3), relay="on")
    futures = [spin(number, 0.05) for number in range(120)]
    assert [future.result(60) for future in futures[:20]] == [number**2 for number in range(20)]
    relay_of(program)._hub.close()
    assert [future.result(60) for future in futures] == [number**2 for number in range(120)]
    time.sleep(1.2)  # a worker that holds an event takes the other way after a second
    later = [spin(number, 0.0) for number in range(120, 140)]
    assert [future.result(60) for future in later] == [number**2 for number in range(120, 140)]
    events = program.events()
    started = [event.task for event in events if isinstance(event, TryStarted)]
    assert sorted(started) == list(range(140))
    said = [event for event in events if isinstance(event, ServiceDegraded) and event.part == "relay"]
    assert [event.source.partition(":")[0] for event in said].count("submit") == 1
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.done, ended.failed, ended.faults) == (140, 0, {"relay": 1})


def test_an_order_of_the_submit_side_reaches_a_worker_process(program):
    program.load(program.pool("near", workers=1), relay="on")
    future = wait_for_order("note", LONG)
    deadline = time.monotonic() + LONG
    taken = []
    while not taken and time.monotonic() < deadline:
        ticket = relay_of(program).order({"executor": "near", "worker": 0}, {"kind": "note", "text": "hello"})
        ticket.wait(5)  # nobody may be there yet
        taken = [source for source, problem in ticket.answers().items() if not problem]
        time.sleep(0.05)
    pid, message = future.result(LONG)
    assert message == {"kind": "note", "text": "hello"}
    assert [int(source.rpartition(":")[2]) for source in taken] == [pid]
    nobody = relay_of(program).order({"pid": pid}, {"kind": "unheard-of"})
    assert nobody.wait(10)
    assert "Nobody takes orders of kind 'unheard-of'" in next(iter(nobody.answers().values()))


def test_a_relay_that_cannot_listen_is_said_and_workers_publish_as_ever(program):
    taken = socket.create_server(("127.0.0.1", 0))
    with taken:
        program.load(program.pool("near"), relay=f"127.0.0.1:{taken.getsockname()[1]}")
        assert relay_of(program) is None
        assert [spin(number, 0.0).result(60) for number in range(5)] == [0, 1, 4, 9, 16]
    events = program.events()
    assert sorted(event.task for event in events if isinstance(event, TryStarted)) == list(range(5))
    (said,) = [event for event in events if isinstance(event, ServiceDegraded)]
    assert said.part == "relay"
    assert "cannot listen on 127.0.0.1" in said.why
