"""The agent reads and marks the interchange's records; nothing that goes wrong there ends the interchange."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from parsl.executors.high_throughput.manager_selector import RandomManagerSelector

from parsl_diaspora.executors.agent.agent import QUIET, Agent, interchange_records
from parsl_diaspora.executors.agent.control import (
    MAIL,
    Control,
    ManagerSighting,
    control_file,
    sightings_file,
)
from parsl_diaspora.executors.agent.hearing import Hearing
from parsl_diaspora.executors.agent.parent import Parent
from parsl_diaspora.executors.agent.selector import QuarantineSelector
from parsl_diaspora.executors.agent.shared_file import SharedFile


def record(*, tasks=(), block="0", host="n1", heartbeat=1_000.0, **more):
    return {
        "block_id": block,
        "hostname": host,
        "tasks": list(tasks),
        "last_heartbeat": heartbeat,
        "draining": False,
        **more,
    }


class Interchange:
    """Its records, and the agent that looks at them."""

    def __init__(self, directory):
        self.directory = directory
        self.control = control_file(directory)
        self.records = {b"m1": record(tasks=[3, 1, 2]), b"m2": record(block="1", host="n2")}
        self.agent = Agent(directory, os.getppid())
        self.agent.records = self.records
        self.now = 100.0

    def add_link(self, **more):
        self.records[b"node-m1"] = record(
            block="diaspora-node", **{"supervises": "m1", "real_block": "0", **more}
        )

    def look(self, seconds=0.0, beat=False):
        """Look each tenth of a second for so long."""
        for _ in range(max(1, round(seconds * 10))):
            self.now += 0.1
            if beat:
                self.records[b"node-m1"]["last_heartbeat"] += 0.1
            self.agent.look(self.now)

    @property
    def seen(self):
        return sightings_file(self.directory).read()

    @property
    def node(self):
        (node,) = self.seen.nodes
        return node


@pytest.fixture
def interchange(tmp_path):
    return Interchange(tmp_path)


def test_managers_are_listed_with_their_nodes(interchange):
    interchange.look()
    assert interchange.seen.interchange == os.getpid()
    assert interchange.seen.managers == (
        ManagerSighting(manager="m1", block="0", node="n1"),
        ManagerSighting(manager="m2", block="1", node="n2"),
    )


def test_tasks_are_listed_in_the_order_of_their_dispatch_for_those_that_are_asked_for(interchange):
    interchange.control.write(Control(asked=frozenset({"m1"})))
    interchange.look()
    assert [each.tasks for each in interchange.seen.managers] == [(3, 1, 2), None]


def test_a_lost_manager_is_marked_again_and_again_since_one_that_lives_goes_on_beating(interchange):
    interchange.control.write(Control(lost=frozenset({"m1", "gone"})))
    interchange.look()
    assert interchange.records[b"m1"]["last_heartbeat"] == 0.0
    assert interchange.records[b"m2"]["last_heartbeat"] == 1_000.0
    interchange.records[b"m1"]["last_heartbeat"] = 1_001.0
    interchange.look()
    assert interchange.records[b"m1"]["last_heartbeat"] == 0.0


def test_a_manager_drains_until_it_is_released(interchange):
    interchange.control.write(Control(draining=frozenset({"m1"})))
    interchange.look()
    assert [each["draining"] for each in interchange.records.values()] == [True, False]
    interchange.control.write(Control())
    interchange.look()
    assert interchange.records[b"m1"]["draining"] is False


def test_a_drain_that_stock_began_itself_is_not_touched(interchange):
    interchange.records[b"m2"]["draining"] = True
    interchange.look()
    assert interchange.records[b"m2"]["draining"] is True


def test_a_node_that_beats_is_not_silent_and_one_that_stops_is(interchange):
    interchange.add_link()
    interchange.look(5.0, beat=True)
    assert (interchange.node.manager, interchange.node.block, interchange.node.node) == ("m1", "0", "n1")
    assert interchange.node.silent == 0.0
    interchange.look(QUIET + 1.5)
    assert interchange.node.silent == pytest.approx(QUIET + 1.5, abs=0.5)
    interchange.look(1.0, beat=True)
    assert interchange.node.silent == 0.0


def test_nobody_was_silent_while_the_interchange_itself_was_stopped(interchange):
    interchange.add_link()
    interchange.look(1.0, beat=True)
    interchange.now += 60.0
    interchange.look(0.5)
    assert interchange.node.silent == 0.0


def test_a_clock_that_is_set_makes_nobody_silent():
    hearing = Hearing()
    beats = ((0, 5_000.0), (1, 1_000.0), (2, 1_001.0))
    assert [hearing.look("a", beat, now) for now, beat in beats] == [0, 0, 0]


def test_a_connection_that_closes_is_told_from_one_that_is_kept(interchange):
    with socket.create_server(("127.0.0.1", 0)) as server:
        node = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        interchange.add_link(local=list(node.getsockname()))
        interchange.look(1.0, beat=True)
        interchange.look(3.0)
        assert interchange.node.connected is True
        node.close()
        assert accepted.recv(1) == b""
        interchange.look(1.0)
        assert interchange.node.connected is False
        accepted.close()


def test_an_address_that_is_never_seen_here_says_nothing_as_behind_a_translating_network(interchange):
    interchange.add_link(local=["198.51.100.7", 4711])
    interchange.look(1.0, beat=True)
    interchange.look(3.0)
    assert interchange.node.connected is None


@pytest.mark.parametrize("local", [None, "nonsense", ["127.0.0.1"], ["127.0.0.1", "x"]])
def test_an_address_that_makes_no_sense_says_nothing(interchange, local):
    interchange.add_link(local=local)
    interchange.look(3.0)
    assert interchange.node.connected is None


def test_events_that_come_with_a_registration_are_put_into_the_file_once(interchange):
    interchange.add_link(events=['{"kind": "node.seen"}', {"kind": "worker.ended"}])
    interchange.look(1.0)
    interchange.add_link(events=['{"kind":\n"node.ending"}'])
    interchange.look(1.0)
    lines = (interchange.directory / MAIL).read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["node.seen", "worker.ended", "node.ending"]


def test_before_any_record_is_known_nothing_is_written(tmp_path):
    Agent(tmp_path, os.getppid()).look(0.0)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_replaced_only_when_something_has_changed(interchange):
    interchange.look()
    path = interchange.directory / "nodes.json"
    path.unlink()
    interchange.look(2.0)
    assert not path.exists()


def test_this_process_has_no_interchange():
    assert interchange_records() is None


def test_a_shared_file_travels(tmp_path):
    file = pickle.loads(pickle.dumps(SharedFile(tmp_path / "x.json", list[int], [])))
    file.write([3])
    assert file.read() == [3]


INTERCHANGE = """
import os, pickle, sys, time
from pathlib import Path
ic = type("Interchange", (), {"_ready_managers": {}})()
selector = pickle.load(sys.stdin.buffer)
Path(sys.argv[1], "pid").write_text(str(os.getpid()))
time.sleep(60)
"""

PROGRAM = """
import pickle, subprocess, sys
from parsl.executors.high_throughput.manager_selector import RandomManagerSelector
from parsl_diaspora.executors.agent.selector import QuarantineSelector
selector = pickle.dumps(QuarantineSelector(sys.argv[1], RandomManagerSelector()))
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)
child.stdin.write(selector)
child.stdin.close()
child.wait()
"""


@pytest.mark.parametrize("wrapper", [[], ["sh", "-c", '"$@"; true', "sh"]], ids=["direct", "wrapped"])
def test_an_interchange_whose_program_is_killed_ends(tmp_path, wrapper):
    interchange = [*wrapper, sys.executable, "-c", INTERCHANGE, str(tmp_path)]
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path), *interchange])
    try:
        pid = int(_wait_for((tmp_path / "pid").read_text))
        assert _wait_for(lambda: sightings_file(tmp_path).read().interchange == pid)
        os.kill(program.pid, signal.SIGKILL)
        assert _wait_for(lambda: not psutil.pid_exists(pid), 5.0)
    finally:
        program.kill()
        program.wait()


def _wait_for(found, seconds=45.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := found():
                return value
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def test_a_parent_that_is_there_is_not_gone():
    assert not Parent(os.getppid()).gone


def test_a_selector_that_cannot_have_an_agent_works_all_the_same(tmp_path, monkeypatch):
    made = pickle.dumps(QuarantineSelector(str(tmp_path), RandomManagerSelector()))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr("parsl_diaspora.executors.agent.selector.Agent", None)
    assert pickle.loads(made).sort_managers({b"m1": record()}, {b"m1"}) == [b"m1"]
