"""Managers and blocks are seen and lost once each; a manager that serves nothing is ended, and no other."""

from __future__ import annotations

import itertools
import threading

import pytest
from parsl.jobs.states import JobState

from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    ManagerLost,
    ManagerSeen,
    PlaceQuarantined,
    PlaceReleased,
)
from parsl_diaspora.executors.watch import PATIENCE_WITH_NEIGHBOURS
from parsl_diaspora.state import Live
from tests.executors.pools import Pool, manager


@pytest.fixture
def pool(tmp_path):
    return lambda *managers: Pool(tmp_path, *managers)


# --- coming and going ---


def test_a_manager_is_said_to_be_seen_once(pool):
    made = pool(manager(workers=4))
    made.look(5)
    (event,) = made.said(ManagerSeen)
    assert (event.executor, event.block, event.manager, event.workers) == ("alder", "0", "m1", 4)
    assert event.python_version == "3.11.7"


def test_a_manager_that_is_gone_is_said_to_be_lost_once_with_what_it_held(pool):
    made = pool(manager(tasks=3), manager("m2"))
    made.look()
    made.executor.managers.pop(0)
    made.look(5)
    (event,) = made.said(ManagerLost)
    assert (event.manager, event.held, event.block) == ("m1", 3, "0")
    assert made.live.picture.managers["m1"].lost


def test_a_manager_that_comes_back_is_seen_again(pool):
    made = pool(manager())
    made.look()
    made.executor.managers = []
    made.look()
    made.executor.managers = [manager()]
    made.look()
    assert len(made.said(ManagerSeen)) == 2
    assert not made.live.picture.managers["m1"].lost


def test_each_change_of_a_block_is_said_once(pool):
    made = pool()
    made.look(2)
    made.executor.become(JobState.RUNNING, "0")
    made.look(2)
    made.executor.become(JobState.FAILED, "0", message="node failure", exit_code=137)
    made.look(2)
    assert [(event.state, event.job) for event in made.said(BlockSeen)] == [
        ("PENDING", "job-0"),
        ("RUNNING", "job-0"),
    ]
    (lost,) = made.said(BlockLost)
    assert (lost.state, lost.exit_code, lost.message, lost.expected) == ("FAILED", 137, "node failure", False)


def test_a_block_that_was_scaled_in_ends_as_expected(pool):
    made = pool()
    made.executor.become(JobState.SCALED_IN, "0")
    made.look()
    assert [event.expected for event in made.said(BlockLost)] == [True]


def test_a_block_that_was_scaled_in_is_said_to_be_lost_once_though_an_older_status_comes_after_it(pool):
    made = pool(manager())
    for state in (JobState.RUNNING, JobState.SCALED_IN, JobState.RUNNING, JobState.SCALED_IN):
        made.executor.become(state, "0")
        made.look()
    (event,) = made.said(BlockLost)
    assert event.expected


def test_the_last_words_of_a_blocks_script_are_told_cut_at_their_beginning(pool, tmp_path):
    words = tmp_path / "block.stderr"
    words.write_text("x" * 2000 + "module: command not found")
    made = pool()
    made.executor.become(JobState.FAILED, "0", stderr_path=str(words))
    made.look()
    (lost,) = made.said(BlockLost)
    assert lost.message.endswith("module: command not found")
    assert len(lost.message) <= 500


def test_a_block_that_runs_on_without_its_manager_while_tasks_wait_makes_place_for_another(pool):
    made = pool(manager())
    made.executor.become(JobState.RUNNING, "0")
    made.look()
    made.submit(1, task=0)
    made.executor.managers = []
    made.look(12)
    assert made.executor.ended == []
    made.look(3)
    assert made.executor.ended == ["0"]
    made.look(60)
    assert made.executor.ended == ["0"]


@pytest.mark.parametrize("reason", ["a manager is left", "no task waits", "it never had one", "it has ended"])
def test_a_block_is_left_alone_when(pool, reason):
    made = pool(*([] if reason == "it never had one" else [manager(), manager("m2")]))
    made.executor.become(JobState.RUNNING, "0")
    made.look()
    if reason != "no task waits":
        made.submit(1, task=0)
    made.executor.managers = [manager("m2")] if reason == "a manager is left" else []
    if reason == "it has ended":
        made.executor.become(JobState.FAILED, "0")
    made.look(60)
    assert made.executor.ended == []


def test_a_dead_interchange_is_not_asked(pool):
    made = pool(manager())
    made.look()
    made.executor.reachable = False
    made.executor.connected_managers = None
    made.look(3)
    assert made.said(ManagerLost) == []


# --- stalls ---


def stall(made, tasks=2):
    """One try has run there; then it takes tasks and starts none."""
    made.look()
    made.end_try(made.start_try())
    made.executor.managers[0]["tasks"] = tasks


def test_a_manager_that_holds_tasks_and_starts_none_is_ended_and_the_reason_told(pool):
    made = pool(manager())
    stall(made)
    made.look(20)
    assert made.executor.ended == ["0"]
    (lost,) = made.said(ManagerLost)
    assert "stalled: it holds 2 tasks" in lost.reason
    assert lost.held == 2
    assert made.denied() == ["m1"]


def test_a_manager_is_not_given_up_before_its_time(pool):
    made = pool(manager())
    stall(made)
    made.look(5)
    assert made.executor.ended == []
    made.look(2)
    assert made.executor.ended == ["0"]


def test_its_end_is_not_said_a_second_time_when_it_is_gone_and_its_name_is_forgotten(pool):
    made = pool(manager())
    stall(made)
    made.look(10)
    made.executor.managers = []
    made.look(3)
    assert len(made.said(ManagerLost)) == 1
    assert made.denied() == []


def test_while_some_of_its_workers_are_busy_it_gets_time_because_another_may_be_slow_to_start_again(pool):
    made = pool(manager(workers=4))
    made.look()
    busy = made.start_try()
    made.executor.managers[0]["tasks"] = 3
    made.look(int(PATIENCE_WITH_NEIGHBOURS) - 5)
    assert made.executor.ended == []
    made.end_try(busy)
    made.look()
    assert made.executor.ended == ["0"]


def test_busy_workers_do_not_buy_time_for_ever(pool):
    made = pool(manager(workers=4))
    made.look()
    made.start_try()
    made.executor.managers[0]["tasks"] = 3
    made.look(int(PATIENCE_WITH_NEIGHBOURS) + 5)
    assert made.executor.ended == ["0"]


@pytest.mark.parametrize("skew", [-3600.0, 3600.0])
def test_a_node_whose_clock_is_wrong_is_not_called_stalled_while_tasks_start_there(pool, skew):
    made = pool(manager(workers=2))
    stall(made)
    for _ in range(20):
        made.look(2)
        made.end_try(made.start_try(skew=skew))
    assert made.executor.ended == []


def test_a_manager_whose_first_task_takes_long_to_begin_is_left_alone(pool):
    made = pool(manager(tasks=2))  # importing the science stack from a slow file system, say
    made.look(300)
    assert made.executor.ended == []


def test_a_manager_that_holds_more_than_it_has_workers_for_is_left_alone(pool):
    made = pool(manager(workers=2))
    made.look()
    for _ in range(2):
        made.start_try()
    made.executor.managers[0]["tasks"] = 10
    made.look(300)
    assert made.executor.ended == []


def test_long_tasks_are_left_alone(pool):
    made = pool(manager(workers=4))
    made.look()
    for _ in range(3):
        made.start_try()
    made.executor.managers[0]["tasks"] = 3
    made.look(300)
    assert made.executor.ended == []


def test_results_that_are_on_their_way_are_no_stall(pool):
    made = pool(manager(workers=2))
    made.look()
    task = made.start_try()
    made.executor.managers[0]["tasks"] = 1  # the worker has finished; the interchange does not know yet
    made.look(20)
    made.end_try(task)
    made.look()
    made.executor.managers[0]["tasks"] = 0
    made.look(20)
    assert made.executor.ended == []


def test_a_slow_stream_of_tasks_is_no_stall(pool):
    made = pool(manager(workers=2))
    stall(made)
    for _ in range(10):
        made.look(4)
        made.end_try(made.start_try())
    assert made.executor.ended == []


def test_a_start_that_is_heard_late_is_no_stall(pool):
    made = pool(manager(workers=2))
    stall(made, tasks=1)
    made.look(4)
    made.start_try()
    made.look(300)
    assert made.executor.ended == []


def test_workers_that_cannot_publish_are_never_called_stalled(pool):
    made = pool(manager())
    stall(made)
    made.executor.unsaid = "the disk is full"
    made.look(300)
    assert made.executor.ended == []


def test_silence_while_the_fabric_is_away_is_no_stall(pool, monkeypatch):
    made = pool(manager())
    stall(made)
    with monkeypatch.context() as patch:
        patch.setattr(Live, "hears", False)
        made.look(300)
        assert made.executor.ended == []
    made.look(300)
    assert made.executor.ended == ["0"], "but a stall that lasts is found afterwards"


def test_an_idle_manager_is_left_alone(pool):
    made = pool(manager())
    stall(made, tasks=0)
    made.look(300)
    assert made.executor.ended == []


def test_a_busy_neighbour_in_the_same_block_buys_time_but_not_for_ever(pool):
    made = pool(manager(), manager("m2", tasks=1))
    stall(made)
    made.look(int(PATIENCE_WITH_NEIGHBOURS) - 5)
    assert made.executor.ended == []
    made.look(10)
    assert made.executor.ended == ["0"]


def test_a_busy_manager_of_another_block_does_not_hold_it_up(pool):
    made = pool(manager(), manager("m2", tasks=1, block="1"))
    stall(made)
    made.look(10)
    assert made.executor.ended == ["0"]


# --- quarantine ---


def rest(made, name):
    made.live.say(PlaceQuarantined(executor="alder", manager=name, reason="fails", seconds=60))


def test_managers_in_quarantine_are_denied_and_let_in_again(pool):
    made = pool(manager(), manager("m2"))
    made.look()
    assert made.denied() == []
    rest(made, "m1")
    made.look()
    assert made.denied() == ["m1"]
    made.live.say(PlaceReleased(manager="m1"))
    made.look()
    assert made.denied() == []


def test_a_manager_in_quarantine_serves_when_it_is_the_last_one_left(pool):
    made = pool(manager(), manager("m2"))
    made.look()
    rest(made, "m1")
    made.look()
    made.executor.managers.pop()
    made.look()
    assert made.denied() == []
    made.executor.managers.append(manager("m3"))
    made.look()
    assert made.denied() == ["m1"]


def test_a_stalled_manager_is_denied_even_if_it_is_the_last_one(pool):
    made = pool(manager())
    stall(made)
    made.look(10)
    assert made.denied() == ["m1"]


def test_the_file_is_written_only_when_something_has_changed(pool):
    made = pool(manager(), manager("m2"))
    rest(made, "m1")
    made.look()
    made.file.unlink()
    made.look(5)
    assert not made.file.exists()


# --- the thread ---


def test_a_look_that_fails_is_said_once_and_the_watching_goes_on(pool):
    made = pool(manager())
    good, looks, done = made.executor.connected_managers, itertools.count(), threading.Event()

    def managers():
        if next(looks) < 3:
            raise OSError("the interchange hiccups")
        done.set()
        return good()

    made.executor.connected_managers = managers
    made.clock.wait = lambda event, timeout: event.wait(0.01)
    made.watch.start()
    assert done.wait(10)
    made.watch.stop()
    assert made.live.faults == {"watch of alder": 3}
    assert len(made.said(ManagerSeen)) == 1


def test_it_ends_when_it_is_told_to(pool):
    made = pool(manager())
    made.clock.wait = lambda event, timeout: event.wait(0.01)
    made.watch.start()
    made.watch.stop()
    assert "diaspora-watch-alder" not in {thread.name for thread in threading.enumerate()}
