"""What went on around tries is known in small records."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSeen,
    NodeShortOfMemory,
    NodeSuspected,
    TaskSubmitted,
    WorkerEnded,
    WorkerSampled,
)
from parsl_diaspora.state import surroundings
from parsl_diaspora.state.surroundings import Surroundings


@pytest.fixture
def around():
    return Surroundings()


def fold(around, *events):
    for event in events:
        event.manager = event.manager or "m1"
        around.fold(event)
    return around.of("m1")


def test_the_smaller_of_a_nodes_memory_and_its_groups_limit_counts(around):
    assert fold(around, NodeSeen(memory=64, limits={"memory": 16, "address_space": 8})).memory_limit == 16
    assert around.of("m1").address_space == 8
    assert (
        fold(around, NodeSeen(memory=64, limits={"memory": None, "address_space": None})).memory_limit == 64
    )
    assert around.of("m1").address_space is None


def test_a_workers_growth_is_bytes_a_second_over_its_newest_samples(around):
    samples = [WorkerSampled(worker=2, memory=100 * n, time=50.0 + 5 * n) for n in range(2)]
    assert fold(around, *samples).growth(2) is None
    near = fold(around, *[WorkerSampled(worker=2, memory=100 * n, time=50.0 + 5 * n) for n in range(2, 30)])
    assert near.growth(2) == 20.0
    assert near.growth(3) is None
    assert fold(around, WorkerEnded(worker=2)).growth(2) is None


@pytest.mark.parametrize(
    "event",
    [WorkerEnded(out_of_memory=True, time=7.0), NodeShortOfMemory(counts={"oom_kill": 1}, time=7.0)],
)
def test_when_memory_ran_out_is_remembered(around, event):
    assert fold(around, event).out_of_memory_at == 7.0


@pytest.mark.parametrize("event", [WorkerEnded(time=7.0), NodeShortOfMemory(counts={"high": 3}, time=7.0)])
def test_other_ends_and_mere_pressure_are_no_lack_of_memory(around, event):
    assert fold(around, event).out_of_memory_at == 0.0


def test_only_an_order_from_outside_counts_as_one(around):
    assert fold(around, NodeEnding(reason="the program has ended")).ending == ""
    assert "SIGTERM" in fold(around, NodeEnding(reason="SIGTERM from outside, as of a batch system")).ending


def test_silence_begins_before_it_is_suspected_and_ends_when_the_node_is_heard(around):
    assert fold(around, NodeSuspected(seconds=3.0, time=10.0)).silent_since == 7.0
    assert fold(around, NodeRecovered(seconds=5.0)).silent_since == 0.0
    assert fold(around, NodeLost(seconds=5.0)).gone


def test_a_block_runs_since_it_was_first_seen_to(around):
    for time, state in enumerate(["PENDING", "RUNNING", "RUNNING"]):
        around.fold(BlockSeen(executor="a", block="0", state=state, time=float(time)))
    around.fold(BlockLost(executor="a", block="0", state="TIMEOUT", message="DUE TO TIME LIMIT"))
    block = around.block("a", "0")
    assert (block.state, block.running_since, block.message) == ("TIMEOUT", 1.0, "DUE TO TIME LIMIT")
    assert around.block("a", "1").state == ""


def test_a_refusal_of_the_batch_system_stands_until_a_block_runs(around):
    words = "sbatch: error:  Batch job submission failed"
    around.fold(BlockLost(executor="a", block="0", state="FAILED", message=words))
    assert around.refusal("a") == "sbatch: error: Batch job submission failed"
    assert around.refusal("b") == ""
    around.fold(BlockSeen(executor="a", block="1", state="RUNNING", time=1.0))
    assert around.refusal("a") == ""


def test_what_says_nothing_of_surroundings_changes_nothing(around):
    fold(around, TaskSubmitted(task=1))
    assert around == Surroundings()


def test_the_oldest_records_go_first(around, monkeypatch):
    monkeypatch.setattr(surroundings, "KEPT", 3)
    for number in range(5):
        around.fold(NodeSampled(manager=f"m{number}", memory_free=number + 1))
    assert [around.of(f"m{number}").memory_free for number in range(5)] == [None, None, 3, 4, 5]
