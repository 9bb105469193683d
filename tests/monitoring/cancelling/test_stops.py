"""Who is told to stop a try, and when. Real supervisors: tests/integration/test_cancel.py."""

from __future__ import annotations

import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest
from parsl.providers import LocalProvider, SlurmProvider

from parsl_diaspora.events import ManagerSeen, NodeSeen, TryStarted, TryStopped
from parsl_diaspora.executors import ResilientHighThroughputExecutor
from tests.monitoring.fakes import Program

PLACE = {"executor": "alder", "manager": "m1", "block": "0", "node": "n1", "worker": 0}


class Box:
    """Takes orders instead of supervisors."""

    def __init__(self):
        self.given = []

    def give(self, to, message, lifetime=300.0):
        self.given.append((to, message))

    order = give


class Scene:
    """A program with one executor whose orders can be read."""

    def __init__(self, tmp_path, is_local=True):
        self.program = Program(tmp_path)
        provider = LocalProvider() if is_local else SlurmProvider(cmd_timeout=1)
        self.executor = ResilientHighThroughputExecutor(label="alder", address="127.0.0.1", provider=provider)
        self.executor.orders = self.box = Box()
        self.program.executors["alder"] = self.executor
        self.relay = Box()
        if not is_local:
            self.program.session._reach = SimpleNamespace(relay=self.relay)
        self.stops = self.program.session.cancels._stops
        self.live = self.program.session.live
        self.live.listen(self.program.session.cancels.hear)

    def launched(self):
        task = self.program.task(exec_fu=Future())
        self.program.launch(task)
        self.live.catch_up()
        return task

    def started(self, task):
        self.live.say(TryStarted(task=task["id"], try_id=0, pid=7, **PLACE))

    def orders(self, box=None):
        time.sleep(0.1)
        return [(to, message["task"], message["reason"]) for to, message in (box or self.box).given]


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def test_a_running_try_is_stopped_by_the_supervisor_of_its_manager(scene):
    scene.live.say(NodeSeen(**PLACE))
    task = scene.launched()
    scene.started(task)
    stop = scene.stops.of(task, "too slow")
    assert stop.outlook == "stopping"
    stop.begin()
    assert scene.orders() == [({"manager": "m1"}, task["id"], "too slow")]


def test_a_try_that_has_not_begun_is_stopped_when_it_does_and_no_other_is(scene):
    scene.live.say(NodeSeen(**PLACE))
    other, task = scene.launched(), scene.launched()
    stop = scene.stops.of(task, "x")
    assert stop.outlook == "queued"
    stop.begin()
    scene.started(other)
    assert scene.orders() == []
    scene.started(task)
    scene.started(task)
    assert scene.orders() == [({"manager": "m1"}, task["id"], "x")]


def test_a_try_that_begins_in_between_is_stopped_too(scene):
    task = scene.launched()
    stop = scene.stops.of(task, "x")
    scene.started(task)
    stop.begin()
    assert scene.orders() == [({"manager": "m1"}, task["id"], "x")]


def test_without_a_supervisor_a_running_try_goes_on(scene):
    scene.live.say(ManagerSeen(workers=1, **{name: PLACE[name] for name in ("executor", "manager")}))
    task = scene.launched()
    scene.started(task)
    assert scene.stops.of(task, "x").outlook == "left_running"


def test_where_starts_are_not_heard_of_nothing_is_promised(scene):
    scene.executor.unsaid = "the log cannot be reached from there"
    assert scene.stops.of(scene.launched(), "x").outlook == "left_running"


def test_to_other_hosts_orders_go_through_the_relay_as_well(tmp_path):
    scene = Scene(tmp_path, is_local=False)
    scene.live.say(NodeSeen(**PLACE))
    task = scene.launched()
    scene.started(task)
    scene.stops.of(task, "x").begin()
    assert scene.orders() == scene.orders(scene.relay) == [({"manager": "m1"}, task["id"], "x")]


def test_an_order_that_cannot_be_given_is_counted_and_the_next_one_is_given(scene):
    scene.live.say(NodeSeen(**PLACE))
    tasks = [scene.launched(), scene.launched()]
    give = scene.box.give
    scene.box.give = lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    for task in tasks:
        scene.started(task)
        scene.stops.of(task, "x").begin()
        time.sleep(0.1)
        scene.box.give = give
    assert scene.orders() == [({"manager": "m1"}, tasks[1]["id"], "x")]
    assert scene.live.faults == {"cancel": 1}


@pytest.mark.parametrize("is_told", [True, False])
def test_the_end_of_a_stopped_try_is_told_once_by_whoever_knows(scene, is_told):
    task = scene.launched()
    scene.stops.ended(task, 0, "kill")
    if is_told:
        scene.live.say(TryStopped(task=task["id"], try_id=0, how="kill", reason="from its supervisor"))
    scene.program.clock.advance(2.0)
    (event,) = scene.program.said(TryStopped)
    assert event.reason == ("from its supervisor" if is_told else "")
