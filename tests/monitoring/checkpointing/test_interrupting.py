"""What the end of a block would cost: the pool controller asks, and tasks that can leave are asked to."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import CheckpointSaved, ManagerSeen, TaskSubmitted, TryStarted
from parsl_diaspora.executors.supervision.board import LEAVE
from parsl_diaspora.monitoring.checkpointing.interrupting import TasksWithCheckpoints
from parsl_diaspora.monitoring.checkpointing.leaving import Leaving
from parsl_diaspora.monitoring.checkpointing.running import RunningTries
from parsl_diaspora.scaling.supply import Block
from parsl_diaspora.state import Picture
from tests.monitoring.checkpointing.asked import Asked

RUN = "r1"


class World:
    """One block with one manager. Tasks from 10 on have no checkpoints."""

    def __init__(self):
        self.time = 100.0
        self.picture = Picture(RUN)
        self.running = RunningTries(lambda task: task < 10, lambda: self.time)
        self.asked = Asked()
        self.leaving = Leaving(self.running, self.asked)
        self.tasks = TasksWithCheckpoints(self.picture, self.running, self.leaving, lambda: self.time)
        self.block = Block(executor="cpu", block="0", site="cpu", managers={"m0", "never seen"})
        self.hear(ManagerSeen(workers=4, **self.place))

    @property
    def place(self):
        return {"executor": "cpu", "block": "0", "manager": "m0", "node": "n0"}

    def hear(self, event):
        event.run = RUN
        self.picture.fold(event)
        self.running.hear(event)
        self.leaving.hear(event)

    def start(self, task):
        self.hear(TaskSubmitted(task=task, try_id=0, executor="cpu", func="walk"))
        self.hear(TryStarted(task=task, try_id=0, **self.place))

    def save(self, task, seconds=0.0):
        self.hear(CheckpointSaved(task=task, try_id=0, number=1, seconds=seconds, **self.place))


@pytest.fixture
def world():
    return World()


def test_an_idle_block_costs_nothing(world):
    assert world.tasks.cost(world.block) == 0.0


def test_what_was_done_since_the_last_save_is_the_price(world):
    world.start(1)
    world.start(2)
    world.save(1, seconds=2.0)
    world.save(2)
    world.time += 30.0
    world.save(2)
    world.time += 5.0
    since_1, since_2 = 2.0 + 35.0, 5.0  # the first save was two seconds old when it was safe
    assert world.tasks.cost(world.block) == since_1 + 2.0 + since_2


@pytest.mark.parametrize("task", [3, 12], ids=["has saved nothing", "has no checkpoints"])
def test_a_block_with_a_task_that_cannot_be_interrupted_has_no_price(world, task):
    world.start(1)
    world.save(1)
    world.start(task)
    assert world.tasks.cost(world.block) is None


def test_the_tasks_of_a_block_that_goes_are_asked_to_leave(world):
    world.start(1)
    world.save(1)
    world.start(12)
    world.block.draining = "nobody needs it"
    world.tasks.ask_to_save(world.block)
    assert world.asked.told == [(1, LEAVE)]
    assert "nobody needs it" in world.leaving.forget(1, 0)
