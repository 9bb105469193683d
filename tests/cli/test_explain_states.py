"""The story of a task tells what became of its states, and how it moved."""

from __future__ import annotations

import json

import pytest

from parsl_diaspora.events import (
    CheckpointLost,
    CheckpointRestored,
    CheckpointSaved,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    MigrationRound,
    MigrationStarted,
    TryLaunched,
)

from .conftest import LOST

MB = 1_000_000


@pytest.fixture
def running(make_log):
    """A run in which task 1 is at alder."""
    log = make_log().start()
    log.submitted(1, 1.0)
    log.started(1, 0, 1.1)
    return log


def saved(log, at, number, *, try_id=0, label="alder", written=MB, final=False):
    event = CheckpointSaved(number=number, size=64 * MB, written=written, stopped=0.25, final=final)
    event.task, event.try_id, event.executor = 1, try_id, label
    log.say(at, event, publisher=log.worker)


def say(log, at, event, *, try_id, label):
    event.task, event.try_id, event.executor = 1, try_id, label
    log.say(at, event, publisher=log.worker)


def test_saves_and_restores_are_told(call, running):
    saved(running, 3.0, 1, written=64 * MB)
    saved(running, 5.0, 2)
    say(
        running,
        6.0,
        CheckpointLost(reason="the store takes nothing", error="OSError: full"),
        try_id=0,
        label="alder",
    )
    running.failed(1, 0, 7.0, LOST)
    running.decided(1, 0, 7.0, failure_class="worker_lost")
    running.say(7.1, TryLaunched(task=1, try_id=1, executor="alder"))
    running.started(1, 1, 7.2)
    restored = CheckpointRestored(
        number=2, saved_run=running.run, saved_try=0, age=2.5, size=64 * MB, seconds=0.5
    )
    say(running, 7.5, restored, try_id=1, label="alder")
    running.succeeded(1, 1, 9.0)
    running.end()
    told = call("explain", "last", 1)
    assert told.status == 0
    for words in (
        "saved 2 times, the last +4.0 s with 64 MB, 65 MB written, stopped for 0.5 s",
        "lost save +5.0 s, the store takes nothing, OSError: full",
        "restored from the state of try 0, 2.5 s old, 64 MB in 0.5 s",
    ):
        assert words in told.words, told.words
    plain = json.loads(call("explain", "last", 1, "--json").out)
    first, second = plain["tries"]
    assert (first["state"]["saves"]["count"], first["state"]["restored"]) == (2, None)
    assert (second["state"]["restored"]["try_id"], second["state"]["saves"]) == (0, None)


def move(log, at, reason="maintenance"):
    say(log, at, MigrationStarted(to="birch", reason=reason, owner="ada"), try_id=0, label="alder")


def test_a_move_is_told_with_its_rounds_and_its_downtime(call, running):
    move(running, 2.0)
    say(running, 2.5, MigrationReady(pid=9), try_id=1, label="birch")
    say(running, 3.0, MigrationRound(number=1, read=64 * MB, size=64 * MB), try_id=1, label="birch")
    say(running, 3.5, MigrationRound(number=2, read=MB, size=64 * MB), try_id=1, label="birch")
    saved(running, 3.6, 3, final=True)
    done = MigrationDone(rounds=2, read=MB, downtime=0.125, final=True)
    say(running, 4.0, done, try_id=1, label="birch")
    told = call("explain", "last", 1)
    for words in (
        "moves +1.0 s to birch, by ada, maintenance",
        "copied 65 MB in 2 rounds",
        "arrived +3.0 s from its last state, downtime",
        "it left its place with that",
    ):
        assert words in told.words, told.words
    assert "Try 1" not in told.words, "a successor on its way is no try yet"


def test_why_a_task_stayed_is_told(call, running):
    move(running, 2.0)
    failed = MigrationFailed(
        to="birch", step="begin", reason="no worker has begun its successor within 300 s"
    )
    say(running, 302.0, failed, try_id=0, label="alder")
    told = call("explain", "last", 1)
    assert "stayed its successor did not begin: no worker has begun its successor within 300 s" in told.words


def test_a_try_that_was_lost_on_its_way_is_told(call, running):
    move(running, 2.0, reason="")
    say(running, 2.5, MigrationReady(pid=9), try_id=1, label="birch")
    say(running, 4.0, MigrationDone(rounds=1, final=False), try_id=1, label="birch")
    assert "from its newest state, as it was lost on the way" in call("explain", "last", 1).words
