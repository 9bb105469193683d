"""A lost block is replaced while there is work for it; an executor is given up when blocks cannot start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl.jobs.error_handlers import noop_error_handler, simple_error_handler, windowed_error_handler
from parsl.jobs.states import JobState

from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.executors.keeping.blocks import BACKOFF_LONGEST, BlockKeeper, keeper_for
from parsl_diaspora.testing.clock import VirtualClock
from tests.executors.fakes import FakeExecutor

ENDS = (JobState.FAILED, JobState.COMPLETED, JobState.TIMEOUT, JobState.CANCELLED)


class Pool:
    """An executor and its keeper, polled as Parsl does."""

    def __init__(self, start_failures=3, **arguments):
        self.clock = VirtualClock()
        self.executor = FakeExecutor(**arguments)
        self.keeper = BlockKeeper(self.clock, start_failures)

    def poll(self, seconds=0.0):
        self.clock.advance(seconds)
        self.keeper(self.executor, self.executor.status_facade)

    def lose(self, state, *blocks):
        self.executor.become(state, *blocks)
        self.poll()

    def newest(self):
        return max(self.executor.status_facade, key=int)


@pytest.mark.parametrize("end", ENDS)
def test_a_block_that_ended_is_replaced_at_once_when_there_is_work(end):
    pool = Pool()
    pool.lose(end, "0")
    assert pool.executor.active() == 1
    assert pool.newest() == "1"


def test_it_is_replaced_once():
    pool = Pool()
    pool.lose(JobState.FAILED, "0")
    for _ in range(5):
        pool.poll(5)
    assert len(pool.executor.status_facade) == 2


def test_the_first_crash_of_the_only_block_does_not_end_the_executor():
    pool = Pool(init_blocks=1)
    pool.lose(JobState.FAILED, "0")
    assert pool.executor.bad_state is None


def test_without_work_only_the_minimum_is_kept():
    pool = Pool(init_blocks=3, min_blocks=1)
    pool.executor.waiting = 0
    pool.lose(JobState.FAILED, "0", "1", "2")
    assert pool.executor.active() == 1


def test_what_was_lost_without_work_is_replaced_when_work_comes():
    pool = Pool(init_blocks=2, min_blocks=0)
    pool.executor.waiting = 0
    pool.lose(JobState.FAILED, "0", "1")
    assert pool.executor.active() == 0
    pool.executor.waiting = 5
    pool.poll(5)
    assert pool.executor.active() == 2


def test_there_are_never_more_blocks_than_the_maximum():
    pool = Pool(init_blocks=2, max_blocks=2)
    pool.executor.become(JobState.FAILED, "0")
    pool.executor.scale_out_facade(1)  # Parsl's own strategy was quicker
    pool.poll()
    assert pool.executor.active() == 2


def test_a_block_that_was_scaled_in_is_not_replaced():
    pool = Pool(init_blocks=2)
    pool.lose(JobState.SCALED_IN, "0")
    assert pool.executor.active() == 1


def test_a_block_that_still_waits_or_runs_is_left_alone():
    pool = Pool(init_blocks=3)
    pool.executor.become(JobState.RUNNING, "0")
    pool.executor.become(JobState.HELD, "1")
    pool.poll(60)
    assert len(pool.executor.status_facade) == 3


def test_after_a_block_that_never_connected_the_next_one_waits_longer_each_time():
    pool = Pool(start_failures=20)
    waits = []
    for _ in range(9):
        pool.executor.become(JobState.MISSING, pool.newest())
        pool.poll()
        waited = 0
        while not pool.executor.active():
            pool.poll(1)
            waited += 1
        waits.append(waited)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(waits) == BACKOFF_LONGEST


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
def test_an_executor_whose_blocks_never_connect_is_given_up_after_so_many_rounds(rounds):
    pool = Pool(start_failures=rounds)
    for number in range(rounds):
        assert pool.executor.bad_state is None
        pool.executor.become(JobState.MISSING, str(number), exit_code=7)
        pool.poll()
        pool.poll(60)
    assert "EXIT CODE: 7" in str(pool.executor.bad_state)
    assert len(pool.executor.status_facade) == rounds


def test_a_block_that_connected_in_between_starts_the_count_again():
    pool = Pool(start_failures=2)
    for number, end in enumerate([JobState.MISSING, JobState.FAILED, JobState.MISSING, JobState.TIMEOUT] * 3):
        pool.lose(end, str(number))
        pool.poll(60)
    assert pool.executor.bad_state is None


def test_an_executor_is_not_given_up_while_another_block_lives():
    pool = Pool(start_failures=1, init_blocks=2)
    pool.lose(JobState.MISSING, "0")
    assert pool.executor.bad_state is None


def test_an_executor_whose_blocks_the_batch_system_refuses_from_the_start_is_given_up_with_the_reason():
    pool = Pool(start_failures=3, init_blocks=0)
    pool.executor.refuses = True
    pool.executor.scale_out_facade(1)
    for _ in range(50):
        pool.poll(5)
    assert "the batch system says no" in str(pool.executor.bad_state)
    assert len(pool.executor.status_facade) < 8


def test_where_blocks_have_worked_before_the_tasks_are_ended_and_more_blocks_are_tried():
    pool = Pool(start_failures=3)
    pool.executor.refuses = True
    pool.lose(JobState.FAILED, "0")
    for _ in range(20):
        pool.poll(1)
    assert pool.executor.bad_state is None
    (error,) = pool.executor.ended_tasks
    assert isinstance(error, NoBlocks)
    assert error.executor == "alder"
    assert "the last 3 times no block could start" in str(error)
    assert "the batch system says no" in str(error)
    tried = len(pool.executor.status_facade)
    pool.poll(60)
    assert len(pool.executor.status_facade) == tried + 1
    pool.executor.refuses = False
    pool.poll(60)  # notes the refusal
    pool.poll(60)
    assert pool.executor.active() == 1


def test_tasks_are_ended_once_for_each_so_many_rounds_without_a_block():
    pool = Pool(start_failures=2)
    pool.lose(JobState.FAILED, "0")
    for rounds in range(1, 7):
        pool.poll(60)
        pool.lose(JobState.MISSING, pool.newest())
        assert len(pool.executor.ended_tasks) == rounds // 2


def test_why_the_newest_block_ended_is_in_the_words_of_its_status(tmp_path):
    error_output = tmp_path / "block.err"
    error_output.write_text("x" * 2000 + "\nmodule: command not found\n")
    pool = Pool(start_failures=1)
    pool.lose(JobState.FAILED, "0")
    pool.executor.become(JobState.MISSING, "1", exit_code=127, stderr_path=str(error_output))
    pool.poll()
    (error,) = pool.executor.ended_tasks
    assert "exit code 127; " in str(error)
    assert "module: command not found" in str(error)
    assert len(str(error)) < 700


def test_many_blocks_that_fail_together_are_one_round():
    pool = Pool(start_failures=2, init_blocks=4)
    pool.lose(JobState.MISSING, "0", "1", "2", "3")
    assert pool.executor.bad_state is None
    pool.poll(60)
    assert pool.executor.active() == 4


@given(
    st.integers(0, 3),
    st.integers(1, 5),
    st.lists(
        st.tuples(st.sampled_from([*ENDS, JobState.MISSING, JobState.SCALED_IN]), st.integers(0, 3)),
        max_size=30,
    ),
    st.booleans(),
)
def test_whatever_ends_there_are_never_more_blocks_than_the_maximum_nor_than_were_lost(
    minimum, maximum, ends, busy
):
    pool = Pool(init_blocks=1, min_blocks=min(minimum, maximum), max_blocks=maximum)
    pool.executor.waiting = int(busy)
    losses = 0
    for state, which in ends:
        active = [block for block, each in pool.executor.status_facade.items() if not each.terminal]
        if active:
            pool.executor.become(state, active[which % len(active)])
            losses += state != JobState.SCALED_IN
        pool.poll(100)
        assert pool.executor.active() <= maximum
        assert len(pool.executor.status_facade) <= 1 + losses
        if not busy:
            assert pool.executor.active() <= max(1, minimum)


def test_a_handler_that_the_program_chose_is_kept():
    def own(executor, status):
        pass

    for handler in (noop_error_handler, windowed_error_handler, own):
        assert keeper_for(handler, VirtualClock(), 3) is handler
    assert isinstance(keeper_for(simple_error_handler, VirtualClock(), 3), BlockKeeper)
