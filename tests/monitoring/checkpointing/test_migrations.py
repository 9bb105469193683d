"""The steps of a move, with supervisors, executors and time that a test holds in its hands."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from parsl_diaspora import CheckpointSpec
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import (
    CheckpointSaved,
    DecisionMade,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    MigrationRound,
    MigrationStarted,
    TryEnded,
    TryStarted,
)
from parsl_diaspora.executors.supervision.board import COPY, GO, LEAVE, STAY
from parsl_diaspora.monitoring.checkpointing.migrations import Migrations
from parsl_diaspora.monitoring.checkpointing.running import RunningTries
from parsl_diaspora.testing.clock import VirtualClock

MB = 1_000_000
LEFT = {"executor": "left", "block": "0", "manager": "m-left", "node": "n1"}
RIGHT = {"executor": "right", "block": "0", "manager": "m-right", "node": "n2"}
NAMES = {COPY: "copy", LEAVE: "leave", STAY: "stay", GO: "go"}


class AtOnce:
    """Errands that are done where they are given."""

    def run(self, errand):
        errand()


class Asked:
    """What supervisors are told."""

    def __init__(self):
        self.told = []

    def can_ask(self, executor):
        return executor != "threads"

    def ask(self, running, what):
        self.told.append((running.executor, NAMES[what]))
        return True

    def stop(self, running, reason):
        self.told.append((running.executor, "stop"))
        return True


class Executor:
    """Takes successors, or refuses."""

    refuses = None

    def __init__(self):
        self.futures = []

    def submit(self, func, specification, *args, **kwargs):
        if self.refuses is not None:
            raise self.refuses
        self.futures.append(Future())
        return self.futures[-1]


class Moves:
    """A run with one running task at the left."""

    def __init__(self):
        self.said, self.asked, self.right = [], Asked(), Executor()
        self.clock = VirtualClock()
        self.running = RunningTries(lambda task: True)
        session = SimpleNamespace(
            settings=SimpleNamespace(
                checkpoint=CheckpointSpec(move_within="5m"),
                traceback_limit=1,
                redact=None,
                restore_workers=True,
            ),
            executors={"left": Executor(), "right": self.right, "threads": Executor()},
            clock=self.clock,
            node_url=lambda label: "",
            checkpoints=SimpleNamespace(successor=lambda task, to: None),
            tries=SimpleNamespace(report_of=lambda *key: None, told=lambda task, **more: None),
            live=SimpleNamespace(say=self.said.append),
        )
        self.moves = Migrations(session, self.running, self.asked, AtOnce())
        self.task = {
            "id": 3,
            "try_id": 0,
            "executor": "left",
            "dfk": SimpleNamespace(run_id="r1"),
            "func": len,
            "args": ("x",),
            "kwargs": {},
            "resource_specification": {},
        }
        self.hear(TryStarted(try_id=0, **LEFT))
        self.save()

    def hear(self, event):
        event.task = 3
        self.running.hear(event)
        self.moves.hear(event)

    def save(self):
        self.hear(CheckpointSaved(try_id=0, number=1, size=100 * MB, **LEFT))

    def begin(self, **more):
        self.moved = self.moves.begin(self.task, "right", "a test", "the tests", **more)
        return self.moved

    def ready(self):
        self.hear(MigrationReady(try_id=1, **RIGHT))

    def round(self, megabytes, seconds=0.1):
        self.hear(MigrationRound(try_id=1, read=int(megabytes * MB), seconds=seconds, **RIGHT))

    def leaves(self, *, left=True):
        found = self.moves.take_over(self.task, left=left)
        if found is not None:
            self.task.update(try_id=1, executor="right")
        return found

    def failed(self):
        return [(event.step, event.reason) for event in self.said if isinstance(event, MigrationFailed)]


@pytest.fixture
def run():
    return Moves()


def test_it_copies_until_the_rest_is_small_then_leaves_and_the_successor_stands_for_the_next_try(run):
    run.begin()
    assert [type(event) for event in run.said] == [MigrationStarted]
    assert run.asked.told == []
    run.ready()
    run.round(100, 1.0)
    run.round(60, 0.6)
    assert run.asked.told == [("left", "copy")]
    run.round(10, 0.1)
    assert run.asked.told[1:] == [("left", "leave")]
    migration = run.leaves()
    decision = DecisionMade()
    run.moves.follow(decision, migration, left=True)
    assert (decision.rule, decision.target) == ("migrated", "right")
    assert run.moves.adopt(run.task) is run.right.futures[0]
    run.hear(MigrationDone(try_id=1, **RIGHT))
    assert run.moved.result(timeout=0) is True


def test_rounds_that_do_not_become_smaller_end_in_a_switch_all_the_same(run):
    run.begin()
    run.ready()
    for _ in range(3):
        run.round(90, 0.1)
    assert run.asked.told[-1] == ("left", "leave")


def test_a_successor_that_nobody_begins_is_given_up_in_time_and_the_try_stays(run):
    run.begin()
    run.clock.advance(301.0)
    assert run.moved.result(timeout=0) is False
    assert run.asked.told == [("left", "stay")]
    assert [step for step, _ in run.failed()] == ["begin"]
    run.ready()  # a worker begins it after all
    assert run.asked.told[-1] == ("right", "stay")
    assert run.leaves(left=False) is None


def test_a_successor_that_dies_while_it_copies_changes_nothing_for_the_try(run):
    run.begin()
    run.ready()
    run.right.futures[0].set_exception(RuntimeError("its worker is gone"))
    assert run.moved.result(timeout=0) is False
    assert run.failed()[0][0] == "copy"
    assert "its worker is gone" in run.failed()[0][1]
    assert ("left", "stay") in run.asked.told


def test_an_executor_that_takes_nothing_is_told(run):
    run.right.refuses = RuntimeError("it is shut down")
    assert run.begin().result(timeout=0) is False
    assert "it is shut down" in run.failed()[0][1]


def test_when_the_try_is_lost_meanwhile_its_successor_is_told_to_go_on(run):
    run.begin()
    run.ready()
    assert run.leaves(left=False) is not None
    assert run.asked.told[-1] == ("right", "go")


def test_a_successor_that_does_not_see_that_the_try_has_left_is_told(run):
    run.begin()
    run.ready()
    run.round(1)
    run.leaves()
    assert ("right", "go") not in run.asked.told
    run.clock.advance(6.0)
    assert run.asked.told[-1] == ("right", "go")


def test_a_try_that_is_lost_before_anybody_began_its_successor_is_tried_again_as_ever(run):
    run.begin()
    assert run.leaves(left=False) is None
    assert run.moved.result(timeout=0) is False


def test_a_task_that_ends_first_needs_no_successor(run):
    run.begin()
    run.ready()
    run.hear(TryEnded(try_id=0, **LEFT))
    assert run.moved.result(timeout=0) is False
    assert ("right", "stay") in run.asked.told


def test_a_try_that_does_not_come_to_save_stays_where_it_is(run):
    run.begin()
    run.ready()
    run.round(1)
    run.clock.advance(61.0)
    assert run.moved.result(timeout=0) is False
    assert run.asked.told[-2:] == [("left", "stay"), ("right", "stay")]


def test_or_is_stopped_if_that_was_asked_for_and_its_successor_goes_on(run):
    run.begin(force_after=5.0)
    run.ready()
    run.round(1)
    run.clock.advance(4.0)
    assert ("left", "stop") not in run.asked.told
    run.clock.advance(2.0)
    assert run.asked.told[-1] == ("left", "stop")
    assert run.leaves(left=False) is not None
    assert run.asked.told[-1] == ("right", "go")


@pytest.mark.parametrize(
    ("to", "words"),
    [("nowhere", "No executor"), ("left", "already"), ("threads", "no supervisors")],
)
def test_where_it_cannot_go_is_said_at_once(run, to, words):
    with pytest.raises(ConfigurationError, match=words):
        run.moves.begin(run.task, to, "", "the tests")
    assert run.said == []


def test_a_task_moves_to_one_place_at_a_time(run):
    run.begin()
    with pytest.raises(ConfigurationError, match="on its way"):
        run.begin()
