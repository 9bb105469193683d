"""What is known of a failed try beyond its exception reaches its diagnosis."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from parsl_diaspora.events import (
    BlockSeen,
    Failure,
    ManagerSeen,
    NodeSeen,
    NodeSuspected,
    PlaceQuarantined,
    TryFailed,
    WorkerEnded,
    WorkerSampled,
)
from parsl_diaspora.executors.walltime import walltime_seconds
from parsl_diaspora.failures import Diagnoser
from parsl_diaspora.monitoring.deciding.context import context_of, is_healthy
from parsl_diaspora.state import Picture, TryState

HERE = {"executor": "alder", "block": "0", "manager": "m1", "worker": 1}
KILLED = Failure(
    chain=("parsl_diaspora.executors.errors.WorkerDied", "builtins.Exception"), exit_code=-9, phase="lost"
)
LOST = Failure(
    chain=("parsl.executors.high_throughput.errors.ManagerLost", "builtins.Exception"), phase="lost"
)


def executor(walltime=None):
    return SimpleNamespace(provider=SimpleNamespace(walltime=walltime))


def picture(*events):
    made = Picture("run")
    for event in events:
        event.run = "run"
        for name, value in HERE.items():
            if getattr(event, name) is None:
                setattr(event, name, value)
        made.fold(event)
    return made


def diagnosed(made, failure, provider=None, now=100.0):
    failed = TryFailed(task=1, try_id=0, failure=failure, **HERE)
    context = context_of(made, failed, provider or executor(), now)
    return Diagnoser().diagnose(failure, context=context)


def test_a_worker_that_was_killed_near_its_memory_limit_had_too_little():
    made = picture(NodeSeen(memory=1_000), WorkerSampled(memory=960, time=99.0))
    found = diagnosed(made, KILLED)
    assert (found.failure_class, found.rule) == ("memory", "worker-near-the-limit")
    assert "96%" in found.evidence[0]


@pytest.mark.parametrize(("ended_at", "expected"), [(98.0, "memory"), (60.0, "worker_lost")])
def test_only_a_lack_of_memory_just_now_explains_a_kill(ended_at, expected):
    made = picture(WorkerEnded(out_of_memory=True, time=ended_at))
    assert diagnosed(made, KILLED).failure_class == expected


def test_a_manager_that_goes_as_its_blocks_walltime_is_over_was_not_lost_by_chance():
    made = picture(BlockSeen(state="RUNNING", time=10.0))
    assert diagnosed(made, LOST, executor("00:01:40")).failure_class == "block_walltime"
    assert diagnosed(made, LOST, executor("01:00:00")).failure_class == "manager_lost"
    assert diagnosed(made, LOST).failure_class == "manager_lost"


def test_a_silent_node_whose_block_runs_is_cut_off():
    made = picture(BlockSeen(state="RUNNING", time=10.0), NodeSuspected(seconds=3.0, time=20.0))
    found = diagnosed(made, LOST)
    assert found.failure_class == "partition"
    assert "83 s" in found.evidence[0]


def test_nothing_known_changes_nothing():
    assert diagnosed(picture(), KILLED).failure_class == "worker_lost"


def test_a_place_in_doubt_bears_no_witness():
    made = picture(ManagerSeen(workers=1))
    assert is_healthy(made, TryState(manager="m1"))
    assert is_healthy(made, TryState(manager="m9"))
    made = picture(ManagerSeen(workers=1), PlaceQuarantined(reason="fails", seconds=9.0))
    assert not is_healthy(made, TryState(manager="m1"))
    made = picture(ManagerSeen(workers=1), NodeSuspected(seconds=3.0))
    assert not is_healthy(made, TryState(manager="m1"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:10:00", 600),
        ("1-00:00:10", 86_410),
        ("48:00:00", 172_800),
        ("01:30", 5_400),
        ("", None),
        (None, None),
        ("soon", None),
        (30, None),
    ],
)
def test_walltimes_are_read_as_providers_take_them(text, seconds):
    assert walltime_seconds(text) == seconds
