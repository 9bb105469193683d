"""Dead, paused and held nodes under a real program, at Parsl's default heartbeats: 30 and 120 seconds.

A process of the test stands for the supervisor of each node.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from parsl_diaspora import drain, hold, open_fabric, release
from parsl_diaspora.cli.main import main as command
from parsl_diaspora.events import (
    DecisionMade,
    ManagerEnded,
    NodeLost,
    NodeRecovered,
    NodeSuspected,
    PlaceHeld,
    TryFailed,
    WorkerEnded,
)
from parsl_diaspora.testing.processes import find
from tests.integration import apps

STOCK = {"heartbeat_period": 30, "heartbeat_threshold": 120}
LONG_BEFORE = (
    30.0  # seconds: stock would take two minutes; what it takes on an idle machine is measured elsewhere
)


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not (met := condition()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.05)
    return met


class Nodes:
    """The blocks of one executor as nodes with a supervisor each."""

    def __init__(self, program):
        self.program = program
        self.links = {}

    def load(self, blocks=2, workers=1, **settings):
        pool = self.program.pool("alder", blocks=blocks, workers=workers, **STOCK)
        kernel = self.program.load(pool, **settings)
        self.executor = kernel.executors["alder"]
        self.live = kernel.memoizer.session.live
        until(lambda: len(self.managers()) == blocks)
        for manager, block in self.managers().items():
            self._start(manager, block)
        until(lambda: len(self._sightings().nodes) == blocks)
        return self

    def managers(self):
        listed = self.executor.connected_managers()
        return {
            each["manager"]: each["block_id"] for each in listed if not each["manager"].startswith("node-")
        }

    def manager_of(self, block):
        (manager,) = [name for name, each in self.managers().items() if each == block]
        return manager

    def _sightings(self):
        return self.executor._watch._sightings.read()

    def _start(self, manager, block):
        arguments = [
            "127.0.0.1",
            str(self.executor.worker_port),
            self.executor.cert_dir or "",
            manager,
            block,
        ]
        module = [sys.executable, "-m", "tests.integration.node_link"]
        self.links[block] = subprocess.Popen([*module, *arguments, f"n{block}"])

    def processes_of(self, block):
        """Pids of the pool of one block, its workers last."""
        (pool,) = [
            each
            for each in find(self.program.mark)
            if each.role == "manager" and f"--block_id={block}" in _command(each.pid)
        ]
        children = [each.pid for each in find(self.program.mark) if each.parent == pool.pid]
        return [pool.pid, *children]

    def kill(self, block):
        """As when a node loses its power, and its kernel has yet been able to say good-bye."""
        for pid in self.processes_of(block):
            os.kill(pid, signal.SIGKILL)
        self.links[block].kill()
        return time.time()

    def close(self):
        for link in self.links.values():
            link.kill()
            link.wait()


def _command(pid):
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
        return file.read().split("\0")


@pytest.fixture
def nodes(program):
    made = Nodes(program)
    yield made
    made.close()

    def running(self):
        return sum(len(manager.running) for manager in self.live.picture.managers.values())

    def say(self, event, block):
        """As the supervisor of that block's node."""
        event.run, event.executor, event.block = self.live.picture.run, "alder", block
        event.manager, event.node = self.manager_of(block), f"n{block}"
        publisher = open_fabric(self.program.url).publisher("node:test", immediate=True)
        publisher.publish(event)
        publisher.close()
        return time.time()

    def pause(self, block, number):
        for pid in [self.links[block].pid, *self.processes_of(block)]:
            os.kill(pid, number)


def said(events, kind):
    return [event for event in events if isinstance(event, kind)]


def places(futures):
    return {future.result(timeout=60) for future in futures}


def test_a_dead_node_is_found_long_before_its_heartbeats_are_missed(nodes, check_story):
    nodes.load()
    futures = [apps.spin(number, 3.0) for number in range(6)]
    until(lambda: nodes.running() == 2)
    lost, killed = nodes.manager_of("0"), nodes.kill("0")
    assert [future.result(timeout=100) for future in futures] == [n * n for n in range(6)]
    events = nodes.program.events()
    check_story(events)
    (event,) = said(events, NodeLost)
    assert (event.manager, event.node, event.block) == (lost, "n0", "0")
    assert "its connection is closed" in event.evidence
    (failed,) = said(events, TryFailed)
    print(f"node lost after {event.time - killed:.1f} s, its task back after {failed.time - killed:.1f} s")
    assert failed.time - killed < LONG_BEFORE
    assert {each.diagnosis.failure_class for each in said(events, DecisionMade)} == {"manager_lost"}


def test_nodes_get_no_work_while_they_are_paused_held_or_drained(nodes):
    nodes.load()
    managers = {block: nodes.manager_of(block) for block in "01"}
    drain(node="n-nowhere")

    nodes.pause("0", signal.SIGSTOP)
    try:
        until(lambda: nodes.live.picture.managers[managers["0"]].suspected)
        until(lambda: nodes.executor._watch._written.denied)
        time.sleep(0.3)
        assert places([apps.place() for _ in range(4)]) == {managers["1"]}
    finally:
        nodes.pause("0", signal.SIGCONT)
    until(lambda: not nodes.executor._watch._written.denied)

    said_at = hold(block="0", reason="to be looked at").time
    until(lambda: "0" in nodes.executor._watch._written.blocks)
    print(f"the interchange was told {time.time() - said_at:.2f} s after the hold")
    assert places([apps.place() for _ in range(4)]) == {managers["1"]}

    here = ["--executor", "alder", "--fabric", nodes.program.url]
    assert command(["hold", "last", "--block", "1", "--owner", "ada", *here]) == 0
    until(lambda: nodes.executor._watch._written.blocks == {"0", "1"})
    waiting = [apps.place() for _ in range(2)]
    time.sleep(0.5)
    assert not any(future.done() for future in waiting)
    assert command(["release", "last", "--block", "0", *here]) == 0
    assert places(waiting) == {managers["0"]}
    release(block="1")

    running = apps.spin(3, 1.0)
    until(lambda: nodes.running() == 1)
    drain(block="0", reason="maintenance")
    drain(block="1")
    assert running.result(timeout=60) == 9
    until(lambda: not set(managers.values()) & nodes.managers().keys())
    release(block="0")

    events = nodes.program.events()
    assert len(said(events, NodeSuspected)) == len(said(events, NodeRecovered)) == 1
    assert said(events, NodeLost) == said(events, TryFailed) == []
    assert [event.drain for event in said(events, PlaceHeld)] == [True, False, False, True, True]


def test_ends_that_are_told_are_acted_upon_at_once(nodes, tmp_path):
    nodes.load(workers=1, retries={"crash": 1})
    crashed = apps.crash_until(str(tmp_path / "crashes"), 1)
    state = until(lambda: _where(nodes, crashed.tid))
    until((tmp_path / "crashes").exists)
    time.sleep(0.3)
    told = nodes.say(WorkerEnded(task=crashed.tid, try_id=0, exit_code=-11, worker=0), state.block)
    assert crashed.result(timeout=100) == 2

    futures = [apps.spin(number, 3.0) for number in range(2)]
    until(lambda: nodes.running())
    (block,) = {each.block for each in nodes.live.picture.managers.values() if each.running} - {state.block}
    for pid in nodes.processes_of(block):
        os.kill(pid, signal.SIGKILL)
    told_again = nodes.say(ManagerEnded(exit_code=-9, reason="SIGKILL"), block)
    assert [future.result(timeout=100) for future in futures] == [0, 1]

    events = nodes.program.events()
    worker, manager = said(events, TryFailed)
    print(f"tries ended {worker.time - told:.2f} and {manager.time - told_again:.2f} s after that was told")
    assert worker.failure.exit_code == -11
    assert max(worker.time - told, manager.time - told_again) < LONG_BEFORE
    assert [each.diagnosis.failure_class for each in said(events, DecisionMade)] == ["crash", "manager_lost"]


def _where(nodes, task):
    state = nodes.live.picture.last_try(task)
    return state if state is not None and state.status == "running" else None
