"""Tasks that no block will ever run are ended, with the reason; those that only have to wait are not."""

from __future__ import annotations

import pytest
from parsl.jobs.states import JobState

from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.executors.keeping.stranded import Stranded
from parsl_diaspora.testing.clock import VirtualClock
from tests.executors.fakes import FakeExecutor


class Pool:
    def __init__(self, patience=30, **arguments):
        self.clock = VirtualClock()
        self.executor = FakeExecutor(**arguments)
        self.stranded = Stranded(self.clock, patience)

    def pass_time(self, seconds, step=0.5):
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.stranded.look(self.executor)
        return len(self.executor.ended_tasks)


def test_tasks_without_any_block_are_ended_with_the_reason():
    pool = Pool(init_blocks=0, max_blocks=0)
    assert pool.pass_time(29) == 0
    assert pool.pass_time(2) == 1
    (error,) = pool.executor.ended_tasks
    assert isinstance(error, NoBlocks)
    assert "had no block, neither running nor queued, for 30 s" in str(error)
    assert "max_blocks" in error.hint
    assert pool.stranded.found


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.RUNNING, JobState.HELD, JobState.UNKNOWN])
def test_a_block_that_waits_or_runs_is_waited_for(state):
    pool = Pool(init_blocks=1)
    pool.executor.become(state, "0")
    assert pool.pass_time(3600, step=2) == 0


def test_without_tasks_there_is_nothing_to_end():
    pool = Pool(init_blocks=0)
    pool.executor.waiting = 0
    assert pool.pass_time(600) == 0
    pool.executor.waiting = 1
    assert pool.pass_time(29) == 0


def test_managers_that_somebody_else_has_started_count():
    pool = Pool(init_blocks=0)
    pool.executor.managers = [{"manager": "m1"}]
    assert pool.pass_time(100) == 0
    assert not pool.stranded.found


def test_blocks_that_end_at_once_do_not_put_the_end_off_for_ever():
    pool = Pool(init_blocks=0)
    for _ in range(20):
        pool.pass_time(4)
        pool.executor.scale_out_facade(1)
        pool.pass_time(1)
        pool.executor.become(JobState.FAILED, *pool.executor.active_blocks)
    assert len(pool.executor.ended_tasks) == 2


def test_a_block_that_comes_later_makes_the_executor_good_again():
    pool = Pool(init_blocks=0)
    pool.pass_time(31)
    assert pool.stranded.found
    pool.executor.scale_out_facade(1)
    pool.pass_time(1)
    assert not pool.stranded.found


def test_time_in_which_the_program_itself_was_suspended_does_not_count():
    pool = Pool(init_blocks=0)
    pool.clock.advance(3600)
    pool.stranded.look(pool.executor)
    assert pool.pass_time(20) == 0
