"""A watched executor whose managers and nodes do what the test says."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

from parsl_diaspora.events import TaskSubmitted, TryEnded, TryStarted
from parsl_diaspora.executors.agent.control import (
    CONTROL,
    ManagerSighting,
    NodeSighting,
    Sightings,
    control_file,
    sightings_file,
)
from parsl_diaspora.executors.mixin import TryFuture
from parsl_diaspora.executors.watch import Watch
from parsl_diaspora.fabric.memory import MemoryFabric
from parsl_diaspora.state import Live
from parsl_diaspora.testing.clock import VirtualClock
from tests.executors.fakes import FakeExecutor, launch

STALL = 5.0


def manager(name="m1", *, tasks=0, workers=2, block="0"):
    return {
        "manager": name,
        "block_id": block,
        "worker_count": workers,
        "tasks": tasks,
        "python_version": "3.11.7",
        "active": True,
    }


class Pool:
    """A watched executor whose managers do what the test says."""

    def __init__(self, tmp_path, *managers):
        self.clock = VirtualClock()
        self.executor = FakeExecutor()
        self.executor.managers = list(managers)
        self.fabric = MemoryFabric()
        self.live = Live(self.fabric, "run", "submit")
        self.file = tmp_path / CONTROL
        self.watch = Watch(self.executor, self.live, STALL, self.clock, tmp_path)
        self.numbers = itertools.count()
        self.sightings = sightings_file(tmp_path)
        self.executor.interchange_proc = SimpleNamespace(pid=4711)

    def look(self, seconds=0):
        """One look, or one a second."""
        for _ in range(seconds or 1):
            self.clock.advance(1.0 if seconds else 0.0)
            self.watch.look()

    def start_try(self, name="m1", task=None, skew=0.0):
        task = next(self.numbers) if task is None else task
        place = {"task": task, "try_id": 0, "executor": "alder", "manager": name, "block": "0"}
        self.live.say(TaskSubmitted(task=task, try_id=0, executor="alder", func="f"))
        self.live.say(TryStarted(time=self.clock.time() + skew, **place))
        return task

    def end_try(self, task, name="m1"):
        self.live.say(TryEnded(task=task, try_id=0, executor="alder", manager=name, time=self.clock.time()))

    def said(self, *kinds):
        events = self.fabric.consumer("test", start="earliest").poll()
        return [event for event in events if isinstance(event, kinds)]

    def denied(self):
        return json.loads(self.file.read_text()).get("denied", []) if self.file.exists() else []

    def see(self, *nodes, tasks=None, interchange=4711):
        """What the interchange's agent writes: these nodes, and all managers with what they hold."""
        managers = tuple(
            ManagerSighting(
                manager=each["manager"],
                block=each["block_id"],
                node=f"n-{each['manager']}",
                tasks=(tasks or {}).get(each["manager"]),
            )
            for each in self.executor.managers
        )
        self.sightings.write(Sightings(interchange=interchange, nodes=nodes, managers=managers))

    def control(self):
        """What the interchange is asked to do."""
        return control_file(self.file.parent).read()

    def submit(self, number, task, try_id=0):
        """A try at the executor, with its future."""
        future = TryFuture(number)
        future.launch = launch(task=task, try_id=try_id)
        self.executor.tasks[number] = future
        self.live.say(TaskSubmitted(task=task, try_id=try_id, executor="alder", func="f"))
        return future


def node(manager="m1", *, silent=0.0, connected=None, block="0"):
    """A supervisor as the interchange hears it."""
    return NodeSighting(
        link=f"node-{manager}",
        manager=manager,
        block=block,
        node=f"n-{manager}",
        silent=silent,
        connected=connected,
    )
