"""Which running tries are asked to leave, told by hand-made events."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import (
    CheckpointSaved,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    TryFailed,
    TryStarted,
)
from parsl_diaspora.executors.supervision.board import LEAVE, SAVE
from parsl_diaspora.monitoring.checkpointing.leaving import Leaving
from parsl_diaspora.monitoring.checkpointing.running import RunningTries
from tests.monitoring.checkpointing.asked import Asked


class Run:
    """Two tries with checkpoints at two nodes; the first has saved."""

    def __init__(self):
        self.asked = Asked()
        self.running = RunningTries(lambda task: task < 3)
        self.leaving = Leaving(self.running, self.asked)
        for task in range(4):
            self.hear(TryStarted(task=task, try_id=0, **self.place(task)))
        self.save(0)

    def place(self, task):
        return {"executor": "cpu", "block": str(task % 2), "manager": f"m{task % 2}", "node": f"n{task % 2}"}

    def save(self, task):
        self.hear(CheckpointSaved(task=task, try_id=0, number=1, **self.place(task)))

    def hear(self, event):
        self.running.hear(event)
        self.leaving.hear(event)


@pytest.fixture
def run():
    return Run()


@pytest.mark.parametrize(
    "place",
    [{"node": "n0"}, {"manager": "m0"}, {"block": "0", "executor": "cpu"}],
    ids=lambda each: next(iter(each)),
)
def test_a_try_at_a_drained_place_is_asked_to_leave(run, place):
    run.hear(PlaceHeld(drain=True, reason="maintenance", **place))
    assert run.asked.told == [(0, LEAVE)]
    assert "maintenance" in run.leaving.forget(0, 0)
    assert run.leaving.forget(0, 0) == ""


def test_a_try_that_has_saved_nothing_yet_is_asked_when_it_has(run):
    run.hear(PlaceHeld(drain=True, node="n0", reason="maintenance"))
    assert run.asked.told == [(0, LEAVE)]
    run.save(2)
    run.save(2)
    assert run.asked.told == [(0, LEAVE), (2, LEAVE)]
    assert "maintenance" in run.leaving.forget(2, 0)


def test_after_a_release_it_is_not_asked_any_more(run):
    run.hear(PlaceHeld(drain=True, node="n0"))
    run.hear(PlaceReleased(node="n0"))
    run.save(2)
    assert run.asked.told == [(0, LEAVE)]


def test_a_place_that_is_only_held_or_elsewhere_is_not_left(run):
    run.hear(PlaceHeld(node="n0"))
    run.hear(PlaceHeld(drain=True, node="n9"))
    run.hear(PlaceHeld(drain=True, node="n0", executor="gpu"))
    assert run.asked.told == []


def test_what_is_in_quarantine_is_left_and_what_is_suspected_is_saved(run):
    run.hear(NodeSuspected(node="n0", manager="m0", executor="cpu"))
    run.hear(PlaceQuarantined(manager="m0", reason="tasks fail there"))
    assert run.asked.told == [(0, SAVE), (0, LEAVE)]


def test_a_try_that_has_ended_is_asked_for_nothing(run):
    run.hear(TryFailed(task=0, try_id=0, **run.place(0)))
    run.hear(PlaceHeld(drain=True, node="n0"))
    assert run.asked.told == []
