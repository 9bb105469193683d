"""The six faults under which stock Parsl loses tasks, hangs, or leaves processes: ours does neither."""

from __future__ import annotations

import pytest

from parsl_diaspora.testing.faults import LONG_TASK, SCENARIOS, SIX, Outcome, play
from parsl_diaspora.testing.faults.outcomes import decode, encode
from parsl_diaspora.testing.faults.scenarios import LONG, STRUCK_AT
from parsl_diaspora.testing.faults.table import HEAD, rows

pytestmark = pytest.mark.timeout(240)
BOUND = 60.0  # generous: the hosts of tests are busy


def hit(name, directory, bound=BOUND):
    found = play(name, "ours", bound, directory)
    print(found)
    return found


@pytest.mark.slow
def test_a_node_that_fails_all_tasks_at_once_costs_no_task_and_few_tries(tmp_path):
    found = hit("black-hole", tmp_path)
    assert found.done == found.total == 100
    assert found.saw == ()
    assert found.wasted < 15


@pytest.mark.slow
def test_a_killed_interchange_is_noticed_and_every_task_ends(tmp_path):
    found = hit("interchange-killed", tmp_path)
    assert found.ended is not None
    assert found.noticed is not None
    assert found.noticed < 30
    assert found.done == found.total or found.saw


@pytest.mark.slow
def test_the_only_block_is_replaced_and_its_tasks_are_done(tmp_path):
    found = hit("only-block", tmp_path)
    assert found.done == found.total
    assert found.wasted <= 2 * found.total


@pytest.mark.slow
def test_what_a_killed_manager_had_is_done_by_the_other(tmp_path):
    found = hit("manager", tmp_path)
    assert found.done == found.total
    assert found.noticed is not None
    assert found.noticed < 20


@pytest.mark.slow
def test_a_killed_worker_is_noticed_long_before_the_next_heartbeat_and_its_task_is_done(tmp_path):
    found = hit("busy-worker", tmp_path)
    assert found.done == found.total == 1
    assert found.wasted == 1
    assert found.noticed is not None
    assert found.noticed < 10


def test_nothing_is_left_when_the_submit_process_is_killed(tmp_path):
    assert hit("program", tmp_path).gone is not None


def test_the_table_says_what_came_and_what_did_not():
    stock = Outcome(scenario="manager", kind="stock", bound=30, done=1, total=2)
    ours = Outcome(
        scenario="manager",
        kind="ours",
        bound=60,
        noticed=1.5,
        failure="ManagerLost",
        relaunched=2.0,
        ended=4.0,
        done=2,
        total=2,
        wasted=1,
    )
    program = Outcome(scenario="program", kind="ours", bound=60, gone=3.0)
    table = rows({("manager", "stock"): stock, ("manager", "ours"): ours, ("program", "ours"): program}, SIX)
    assert all(len(line) == len(HEAD) for line in table)
    assert table == [
        (
            "one of two managers killed",
            "stock",
            "not in 30 s",
            "-",
            "not in 30 s",
            "1 of 2 done",
            "noticed in 5 s, done on the other",
        ),
        ("", "ours", "1.5 s, ManagerLost", "2.0 s", "4.0 s", "2 of 2 done, 1 try lost", ""),
        ("submit process killed", "ours", "-", "-", "3.0 s", "nothing is left", "nothing left after 30 s"),
    ]
    assert decode(encode(ours)) == ours


def test_a_long_task_that_is_killed_near_its_end_goes_on_from_its_state(tmp_path):
    found = hit(LONG_TASK, tmp_path)
    print(found.story, "ended", found.ended)
    assert found.done == found.total
    assert found.wasted == 1
    assert found.ended < LONG * STRUCK_AT  # it has not begun anew


def test_the_six_are_scenarios():
    assert len(set(SIX)) == 6
    assert set(SIX) <= SCENARIOS.keys()
