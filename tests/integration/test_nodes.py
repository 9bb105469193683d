"""Dead, paused and held nodes under a real program, at Parsl's default heartbeats: 30 and 120 seconds.

Each block of the pool stands for a node: it has a supervisor of its own.
"""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from parsl_diaspora import drain, hold, release
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
from parsl_diaspora.testing.emulated import EmulatedNode, can_part_processes
from parsl_diaspora.testing.processes import find
from tests.integration import apps
from tests.waiting import until

STOCK = {"heartbeat_period": 30, "heartbeat_threshold": 120}
LONG_BEFORE = 30.0  # seconds; stock takes up to 120, and how much less it is here is measured elsewhere


class Nodes:
    """The blocks of one executor as nodes."""

    def __init__(self, program):
        self.program = program

    def load(self, blocks=2, workers=1, launcher=None, **settings):
        pool = self.program.pool("alder", blocks=blocks, workers=workers, **STOCK)
        if launcher is not None:
            pool.provider.launcher = launcher
        kernel = self.program.load(pool, **settings)
        self.executor = kernel.executors["alder"]
        self.live = kernel.memoizer.session.live
        until(lambda: len(self.managers()) == blocks)
        until(lambda: len(self.executor._watch._sightings.read().nodes) == blocks)
        return self

    @property
    def told(self):
        """What the interchange was asked to do."""
        return self.executor._watch._written

    def managers(self):
        return {each["manager"]: each["block_id"] for each in self.executor.connected_managers()}

    def manager_of(self, block):
        (manager,) = [name for name, each in self.managers().items() if each == block]
        return manager

    def supervisor_of(self, block):
        """The topmost process of a block that runs our command, by its pid."""
        argument = f"--block_id={block}"
        found = [psutil.Process(each.pid) for each in find(self.program.mark)]
        wrapped = [each for each in found if "parsl-diaspora-node" in " ".join(each.cmdline()[:3])]
        (supervisor,) = [each for each in wrapped if argument in each.cmdline()]
        return supervisor

    def pool_of(self, block):
        """The manager's process."""
        argument = f"--block_id={block}"
        pools = [psutil.Process(each.pid) for each in find(self.program.mark) if each.role == "manager"]
        (pool,) = [each for each in pools if argument in each.cmdline()]
        return pool

    def all_of(self, block):
        supervisor = self.supervisor_of(block)
        return [supervisor, *supervisor.children(recursive=True)]

    def kill(self, block):
        """As when a whole node dies, while its kernel can yet close its connections."""
        for process in self.all_of(block):
            process.kill()
        return time.time()

    def running_try(self, task):
        """A task's newest try once it is known to run, and where: ends of earlier tasks may be told late."""
        state = self.live.picture.last_try(task)
        return state if state is not None and state.status == "running" and state.block else None

    def running(self):
        return sum(len(manager.running) for manager in self.live.picture.managers.values())


@pytest.fixture
def nodes(program):
    return Nodes(program)


NODE = "emulated"
can_emulate = can_part_processes()


def said(events, kind):
    return [event for event in events if isinstance(event, kind)]


def classes(events):
    return [each.diagnosis.failure_class for each in said(events, DecisionMade)]


def places(futures):
    return {future.result(timeout=60) for future in futures}


@pytest.mark.skipif(can_emulate, reason="whole nodes can be killed instead, as below")
def test_a_dead_node_is_found_long_before_its_heartbeats_are_missed(nodes, check_story):
    nodes.load()
    futures = [apps.spin(number, 3.0) for number in range(6)]
    until(lambda: nodes.running() == 2)
    lost, killed = nodes.manager_of("0"), nodes.kill("0")
    assert [future.result(timeout=100) for future in futures] == [n * n for n in range(6)]
    events = nodes.program.events()
    check_story(events)
    (event,) = said(events, NodeLost)
    assert (event.manager, event.node, event.block) == (lost, os.uname().nodename, "0")
    assert "its connection is closed" in event.evidence
    (failed,) = said(events, TryFailed)
    print(f"node lost after {event.time - killed:.1f} s, its task back after {failed.time - killed:.1f} s")
    assert failed.time - killed < LONG_BEFORE
    assert classes(events) == ["node_lost"]


@pytest.mark.skipif(not can_emulate, reason="this machine lets nobody make namespaces")
@pytest.mark.slow
def test_nodes_with_names_of_their_own_are_held_and_die_as_a_whole(nodes, check_story):
    nodes.load(launcher=EmulatedNode(NODE, own_processes=True))
    managers = {block: nodes.manager_of(block) for block in "01"}
    until(lambda: managers["0"] in nodes.live.picture.managers)
    name = until(lambda: nodes.live.picture.managers[managers["0"]].node)
    assert name.startswith(NODE)
    assert name != os.uname().nodename
    hold(node=name, reason="its disk is full")
    until(lambda: nodes.told.nodes == {name})
    assert places([apps.place() for _ in range(4)]) == {managers["1"]}

    future = apps.spin(3, 3.0)
    until(lambda: nodes.running() == 1)
    (init,) = [
        each for each in nodes.supervisor_of("1").parents() if each.name() == "bash" and _is_first(each)
    ]
    init.kill()  # and with it all that is in its namespace
    killed = time.time()
    until(lambda: nodes.live.picture.managers[managers["1"]].lost)
    release(node=name)
    assert future.result(timeout=100) == 9
    events = nodes.program.events()
    check_story(events)
    (failed,) = said(events, TryFailed)
    print(f"its task came back {failed.time - killed:.1f} s after the node's death")
    assert failed.time - killed < LONG_BEFORE
    assert classes(events)[-1] == "node_lost"
    (lost,) = said(events, NodeLost)
    assert lost.manager == managers["1"]


def _is_first(process):
    """Whether it is the first process of a PID namespace below ours."""
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
        (line,) = [each for each in file if each.startswith("NSpid:")]
    return line.split()[-1] == "1" and len(line.split()) > len(["NSpid:", "ours"])


def test_nodes_get_no_work_while_they_are_paused_held_or_drained(nodes):
    nodes.load()
    managers = {block: nodes.manager_of(block) for block in "01"}
    until(lambda: set(managers.values()) <= nodes.live.picture.managers.keys())
    drain(node="n-nowhere")

    paused = nodes.all_of("0")
    for process in paused:
        process.suspend()
    try:
        until(lambda: nodes.live.picture.managers[managers["0"]].suspected)
        until(lambda: nodes.told.denied)
        time.sleep(0.3)
        assert places([apps.place() for _ in range(4)]) == {managers["1"]}
    finally:
        for process in paused:
            process.resume()
    until(lambda: not nodes.told.denied)

    said_at = hold(block="0", reason="to be looked at").time
    until(lambda: "0" in nodes.told.blocks)
    print(f"the interchange was told {time.time() - said_at:.2f} s after the hold")
    assert places([apps.place() for _ in range(4)]) == {managers["1"]}

    here = ["--executor", "alder", "--fabric", nodes.program.url]
    assert command(["hold", "last", "--block", "1", "--owner", "ada", *here]) == 0
    until(lambda: nodes.told.blocks == {"0", "1"})
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

    events = nodes.program.events()
    assert len(said(events, NodeSuspected)) == len(said(events, NodeRecovered)) == 1
    assert said(events, NodeLost) == said(events, TryFailed) == []
    assert sorted(event.drain for event in said(events, PlaceHeld)) == [False, False, True, True, True]


def test_ends_that_supervisors_tell_are_acted_upon_at_once(nodes, tmp_path):
    nodes.load(retries={"crash": 1})
    assert apps.crash_until(str(tmp_path / "crashes"), 1).result(timeout=100) == 2

    future = apps.spin(3, 3.0)
    spun = until(lambda: nodes.running_try(future.tid))
    nodes.pool_of(spun.block).kill()
    killed = time.time()
    assert future.result(timeout=100) == 9

    events = nodes.program.events()
    crash, loss = said(events, TryFailed)
    ended = next(event for event in said(events, WorkerEnded) if event.task is not None)
    print(f"the crashed try ended {crash.time - ended.time:.2f} s after its worker's end was told,")
    print(f"the lost one {loss.time - killed:.2f} s after its manager was killed")
    assert crash.failure.exit_code == -signal.SIGSEGV
    assert loss.time - killed < LONG_BEFORE
    assert classes(events) == ["crash", "manager_lost"]
    assert [event.next != "" for event in said(events, ManagerEnded) if event.exit_code == -9] == [True]


def test_a_pool_whose_queue_is_stuck_is_started_anew_in_its_block(nodes):
    nodes.load(blocks=1)
    assert apps.spin(3, 0.0).result(timeout=60) == 9
    manager = nodes.manager_of("0")
    _break_queue(nodes)
    assert [apps.spin(n, 0.0).result(timeout=100) for n in (4, 5)] == [16, 25]
    assert manager not in nodes.managers()
    assert set(nodes.managers().values()) == {"0"}, "the block was not given up"
    events = nodes.program.events()
    assert any("stalled" in event.reason for event in said(events, ManagerEnded))


def _break_queue(nodes, attempts=2):
    """Kill the only worker while it is idle, so that it takes the lock of the task queue along."""
    for _ in range(attempts):
        (worker,) = [each for each in find(nodes.program.mark) if each.role == "worker"]
        os.kill(worker.pid, signal.SIGKILL)
        until(
            lambda gone=worker.pid: [
                each for each in find(nodes.program.mark) if each.role == "worker" and each.pid != gone
            ]
        )
        time.sleep(0.5)
