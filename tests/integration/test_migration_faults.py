"""Tasks that are moved while something goes wrong: killed processes at each step, ends, and cancels."""

from __future__ import annotations

import os
import signal

import pytest

from parsl_diaspora import TaskCancelled, cancel, migrate
from parsl_diaspora.events import (
    DecisionMade,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    TaskEnded,
    TryFailed,
    TryStarted,
)
from parsl_diaspora.monitoring.checkpointing.migration import Migration
from tests.integration.checkpoint_apps import forgetful, occupy, quick, walk
from tests.waiting import until

PAUSE = 0.1


class Moving:
    """A program with two places, and what it has heard."""

    def __init__(self, program, directory, **settings):
        program.load(program.pool("left", workers=1), program.pool("right", workers=1), **settings)
        self.session = program.kernel.memoizer.session
        self.directory = directory
        self.heard = []
        self.futures = []

    def begin(self, steps=60, app=walk):
        path = str(self.directory / f"told-{len(self.futures)}")
        future = app(steps, PAUSE, path) if app is walk else app(steps, path)
        if not self.futures:
            until(lambda: self.session.live is not None)
            self.session.live.listen(self.heard.append)
        self.futures.append(future)
        until(lambda: self.source(future) is not None and self.source(future).saves)
        return future

    def source(self, future):
        return self.session.checkpoints.running.of(future.tid, 0)

    def stage(self, future):
        migration = self.session.checkpoints.migrations._by_task.get(future.tid)
        return migration.stage if migration is not None else None

    def at(self, future, *stages):
        until(lambda: self.stage(future) in stages)

    def of(self, future, kind):
        return [event for event in list(self.heard) if isinstance(event, kind) and event.task == future.tid]

    def kill_source(self, future):
        os.kill(self.session.live.picture.last_try(future.tid).pid, signal.SIGKILL)

    def kill_successor(self, future):
        (ready,) = self.of(future, MigrationReady)
        os.kill(ready.pid, signal.SIGKILL)

    def occupied(self, name):
        """The only worker at the right has something to do until the file is there."""
        path = self.directory / name
        busy = occupy(str(path))
        until((self.directory / f"{name}.begun").exists)
        return path, busy

    def begins(self, number):
        lines = (self.directory / f"told-{number}").read_text().splitlines()
        return [int(line.split()[2]) for line in lines if line.startswith("begins")]


def never_close(monkeypatch):
    """As if the state changed faster than it can be copied."""
    monkeypatch.setattr(Migration, "is_close", property(lambda self: False))


def check(program, events, check_story, futures):
    check_story(events)
    for future in futures:
        ended = [each for each in events if isinstance(each, TaskEnded) and each.task == future.tid]
        assert [each.outcome for each in ended] == ["done"]


@pytest.mark.timeout(200)
def test_the_source_is_lost_at_each_step(program, tmp_path, check_story, monkeypatch):
    moving = Moving(program, tmp_path)

    path, busy = moving.occupied("busy")  # the successor waits in the queue when its source is lost
    queued = moving.begin()
    moved = migrate(queued, to="right", reason="sent")
    moving.at(queued, "sent")
    moving.kill_source(queued)
    assert moved.result(60) is False
    path.touch()
    assert busy.result(60) == "done"
    assert quick(1).result(60) == 2, "the worker is busy with a successor that nobody needs"
    assert queued.result(60) == 60

    with monkeypatch.context() as patch:
        never_close(patch)
        copying = moving.begin()
        moved = migrate(copying, to="right", reason="copying")
        moving.at(copying, "copying")
        moving.kill_source(copying)
        assert moved.result(60) is True
    assert copying.result(60) == 60

    leaving = moving.begin()
    moved = migrate(leaving, to="right", reason="leaving")
    moving.at(leaving, "leaving", "switched", "over")
    moving.kill_source(leaving)
    assert moved.result(60) is True
    assert leaving.result(60) == 60
    assert quick(1).result(60) == 2

    events = program.events()
    check(program, events, check_story, moving.futures)
    for number in range(3):
        first, *others = moving.begins(number)
        assert first == 0
        assert others
        assert min(others) > 0, "work was done again from the start"
    rules = {
        each.task: each.rule
        for each in events
        if isinstance(each, DecisionMade) and each.task in (copying.tid, leaving.tid)
    }
    assert set(rules.values()) == {"migrated"}
    (failed,) = [each for each in events if isinstance(each, MigrationFailed)]
    assert (failed.task, failed.step) == (queued.tid, "switch")
    assert {each.task for each in events if isinstance(each, MigrationDone)} == {copying.tid, leaving.tid}


@pytest.mark.timeout(200)
def test_the_successor_is_lost_at_each_step(program, tmp_path, check_story, monkeypatch):
    moving = Moving(program, tmp_path)
    with monkeypatch.context() as patch:
        never_close(patch)
        copying = moving.begin()
        moved = migrate(copying, to="right", reason="copying")
        moving.at(copying, "copying")
        until(lambda: moving.of(copying, MigrationReady))
        moving.kill_successor(copying)
        assert moved.result(60) is False
    assert copying.result(60) == 60
    assert not moving.of(copying, TryFailed)  # it went on where it was
    assert "WorkerDied" in moving.of(copying, MigrationFailed)[0].reason

    after = moving.begin(steps=150)
    moved = migrate(after, to="right", reason="after the switch")
    assert moved.result(60) is True
    assert not after.done(), "the arrival is told when the task has ended"
    moving.kill_successor(after)
    assert after.result(60) == 150
    assert quick(1).result(60) == 2

    events = program.events()
    check(program, events, check_story, moving.futures)
    classes = [
        each.diagnosis.failure_class
        for each in events
        if isinstance(each, DecisionMade) and each.task == after.tid
    ]
    assert classes[0] == "left"
    assert len(classes) == 2
    assert moving.begins(0) == [0]
    first, *others = moving.begins(1)
    assert first == 0
    assert len(others) == 2
    assert min(others) > 0


@pytest.mark.timeout(200)
def test_a_manager_or_a_block_is_lost(program, tmp_path, check_story, monkeypatch):
    moving = Moving(program, tmp_path)
    never_close(monkeypatch)
    path, busy = moving.occupied("busy")
    waits = moving.begin(steps=100)
    moved = migrate(waits, to="right", reason="its target goes")
    moving.at(waits, "sent")
    right = program.kernel.executors["right"]
    for block in list(right.blocks_to_job_id):
        right.end_block(block)
    path.touch()
    assert moved.result(90) in (True, False)  # a new block may have come in time
    assert waits.result(90) == 100
    assert busy.result(90) == "done"

    lost = moving.begin(steps=100)
    moved = migrate(lost, to="right", reason="its manager goes")
    moving.at(lost, "copying")
    os.kill(moving.of(lost, TryStarted)[0].manager_pid, signal.SIGKILL)
    assert moved.result(90) is True
    assert lost.result(90) == 100
    check(program, program.events(), check_story, moving.futures)
    assert min(moving.begins(1)[1:]) > 0


@pytest.mark.timeout(200)
def test_moves_that_come_to_nothing(program, tmp_path, monkeypatch):
    moving = Moving(program, tmp_path, checkpoint={"move_within": "1s"})

    path, busy = moving.occupied("busy")
    patient = moving.begin()
    assert migrate(patient, to="right").result(60) is False
    assert "no worker has begun its successor within 1 s" in moving.of(patient, MigrationFailed)[0].reason
    path.touch()
    assert busy.result(60) == "done"
    assert quick(1).result(60) == 2
    assert patient.result(60) == 60

    never_close(monkeypatch)
    ends = moving.begin(steps=30)
    moved = migrate(ends, to="right")
    assert ends.result(60) == 30
    assert moved.result(60) is False
    assert quick(1).result(60) == 2

    cancelled = moving.begin(steps=1000)
    moved = migrate(cancelled, to="right")
    moving.at(cancelled, "copying")
    assert cancel(cancelled, "not needed")
    assert isinstance(cancelled.exception(60), TaskCancelled)
    assert moved.result(60) is False
    assert quick(1).result(60) == 2

    blind = moving.begin(steps=60, app=forgetful)
    moved = migrate(blind, to="right")
    assert moved.result(60) is False
    assert blind.result(60) == 60
    assert "does not restore" in moving.of(blind, MigrationFailed)[0].reason
    assert quick(1).result(60) == 2
    assert moving.begins(0) == [0]

    events = program.events()
    failed = [each for each in events if isinstance(each, MigrationFailed)]
    assert [each.task for each in failed] == [each.tid for each in moving.futures]
    assert all(each.reason for each in failed)
    assert not [each for each in events if isinstance(each, TryFailed)]
