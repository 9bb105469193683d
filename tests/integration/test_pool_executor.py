"""Several executors as one, with real pools: members are lost and replaced, and every task ends once."""

from __future__ import annotations

import os
import time

import parsl
import pytest
from parsl import Config, ThreadPoolExecutor

from parsl_diaspora import cancel
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import (
    DecisionMade,
    MemberReplaced,
    RunStarted,
    TaskEnded,
    TaskHedged,
    TaskMoved,
    TaskSubmitted,
    TryEnded,
    TryStopped,
)
from parsl_diaspora.executors import PoolExecutor
from parsl_diaspora.monitoring.cancelling.cancels import Cancelled
from tests.integration import pool_apps as apps
from tests.integration.looking import LONG, of, until


def load(program, *members, settings=None, **arguments):
    kernel = program.load(PoolExecutor("pool", list(members), **arguments), **(settings or {}))
    return kernel.executors["pool"]


def connected(pool):
    """Both members have workers, so that work is spread."""
    until(lambda: all(member.slots for member in pool.seats.values()))


def at(pool, label):
    return [each for each in pool.outstanding() if each.at == (label,)]


def waiting(pool, label):
    return [each for each in at(pool, label) if not each.started]


def traces(directory, number):
    return [name for name in os.listdir(directory) if name.startswith(f"{number}-")]


@pytest.mark.timeout(2 * LONG)
def test_members_share_the_work_and_are_known_by_their_labels(program, check_story):
    pool = load(program, program.pool("alder"), program.pool("birch"))
    assert set(program.kernel.executors) == {"pool", "alder", "birch", "_parsl_internal"}
    connected(pool)
    futures = [apps.square(n, 0.1) for n in range(24)]
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(24)]
    assert pool.outstanding() == []

    events = program.events()
    check_story(events)
    (started,) = of(events, RunStarted)
    assert started.executors == ("pool", "alder", "birch")
    assert {event.executor for event in of(events, TryEnded)} == {"alder", "birch"}
    assert all(event.placed for event in of(events, TaskSubmitted))
    assert program.shutdown.finished
    assert program.shutdown.left == 0


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_a_member_whose_interchange_is_gone_for_good_is_replaced_and_no_task_is_lost(program, check_story):
    pool = load(
        program,
        program.pool("alder"),
        program.pool("birch"),
        settings={"interchange_restarts": 0, "retries": {"application": 0}},
    )
    connected(pool)
    futures = [apps.square(n, 0.2) for n in range(40)]
    until(lambda: at(pool, "alder"))
    old = pool.seats["alder"].executor
    old.interchange_proc.kill()
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(40)]

    until(lambda: pool.seats["alder"].number == 2)
    fresh = pool.seats["alder"].executor
    assert fresh is not old
    assert program.kernel.executors["alder"].executor is fresh
    until(lambda: pool.seats["alder"].slots)
    more = [apps.where() for _ in range(12)]
    assert {future.result(timeout=LONG) for future in more} == {"alder", "birch"}

    events = program.events()
    check_story(events)
    (replaced,) = of(events, MemberReplaced)
    assert (replaced.executor, replaced.pool, replaced.number) == ("alder", "pool", 2)
    moves = [event for event in of(events, DecisionMade) if event.action == "move"]
    assert {event.executor for event in moves} == {"alder"}
    assert "application" not in {event.budget for event in moves}
    assert program.shutdown.finished
    assert program.shutdown.left == 0


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_straggler_of_an_idempotent_app_gets_a_second_copy_and_its_first_result_counts(
    program, check_story, tmp_path
):
    pool = load(program, program.pool("alder"), program.pool("birch"), hedge_share=0.2)
    connected(pool)
    quick = [apps.straggler(str(tmp_path), n) for n in range(12)]
    assert [future.result(timeout=LONG)[0] for future in quick] == list(range(12))
    traced = tmp_path / "late"
    traced.mkdir()
    since = time.monotonic()
    late = apps.straggler(str(traced), 1000)
    assert late.result(timeout=LONG)[0] == 1000
    assert time.monotonic() - since < 30  # the first copy alone takes 60 s
    assert len(traces(traced, 1000)) == 2
    until(lambda: not any(member.outstanding for member in pool.seats.values()), 30)

    events = program.events()
    check_story(events)
    (hedged,) = of(events, TaskHedged)
    assert hedged.task == late.tid
    assert {hedged.executor, hedged.to} == {"alder", "birch"}
    (ended,) = [event for event in of(events, TryEnded) if event.task == late.tid]
    assert ended.executor == hedged.to
    assert [event.executor for event in of(events, TryStopped)] == [hedged.executor]
    assert [event.outcome for event in of(events, TaskEnded) if event.task == late.tid] == ["done"]
    picture = program.history().find("last")
    assert set(picture.outstanding.values()) == {0}


@pytest.mark.timeout(2 * LONG)
def test_work_that_waits_is_moved_and_never_begins_where_it_was(program, check_story, tmp_path):
    pool = load(program, program.pool("alder", workers=1), program.pool("birch", workers=1))
    connected(pool)
    begun = tmp_path / "begun"
    begun.mkdir()
    futures = [apps.once(str(begun), n, 1.0) for n in range(10)]
    until(lambda: any(each.started for each in at(pool, "alder")) and len(waiting(pool, "alder")) > 1)
    queued = waiting(pool, "alder")
    moved = pool.move(queued[-1].number, to="birch", reason="alder is to rest")
    assert moved.result(timeout=20)
    (running,) = [each for each in at(pool, "alder") if each.started][:1]
    with pytest.raises(ConfigurationError, match="not marked idempotent"):
        pool.move(running.number, to="birch")
    with pytest.raises(ConfigurationError, match="no member is called 'brich'"):
        pool.move(futures[-1], to="brich")
    assert [future.result(timeout=LONG) for future in futures] == list(range(10))
    assert len(os.listdir(begun)) == 10  # each has begun once

    events = program.events()
    check_story(events)
    (event,) = of(events, TaskMoved)
    assert (event.task, event.executor, event.to, event.started) == (queued[-1].task, "alder", "birch", False)
    (ended,) = [each for each in of(events, TryEnded) if each.task == event.task]
    assert ended.executor == "birch"
    assert set(program.history().find("last").outstanding.values()) == {0}


@pytest.mark.timeout(2 * LONG)
def test_a_running_task_of_a_member_is_cancelled_where_it_runs(program):
    pool = load(program, program.pool("alder"), ThreadPoolExecutor(label="threads", max_threads=1))
    connected(pool)
    session = program.kernel.memoizer.session
    futures = [apps.square(n, 30.0) for n in range(3)]
    until(lambda: len([each for each in pool.outstanding() if each.started]) == 3)
    (remote, *_) = [each for each in pool.outstanding() if each.at == ("alder",)]
    manager = session.live.picture.last_try(remote.task).manager
    until(lambda: session.cancels.can_stop(manager))
    (future,) = [each for each in futures if each.tid == remote.task]
    since = time.monotonic()
    assert cancel(future, "enough") is Cancelled.STOPPING
    until(lambda: all(each.number != remote.number for each in pool.outstanding()), 15)
    until(lambda: pool.seats["alder"].outstanding == 1, 15)
    assert time.monotonic() - since < 20
    for each in futures:
        cancel(each)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_pool_of_a_stock_program_goes_on_without_the_member_that_lost_its_interchange(program):
    """No retries, nothing of ours but the pool: what was at the lost member is done by the others."""
    pool = PoolExecutor("pool", [program.pool("alder"), program.pool("birch")], strategy_period=0.5)
    program.kernel = parsl.load(
        Config(executors=[pool], run_dir=str(program.directory / "runinfo"), retries=0, strategy="none")
    )
    connected(pool)
    futures = [apps.square(n, 0.2) for n in range(30)]
    until(lambda: at(pool, "alder"))
    pool.seats["alder"].executor.interchange_proc.kill()
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(30)]
    until(lambda: pool.seats["alder"].number == 2)
    until(lambda: pool.seats["alder"].slots)
    assert apps.square(7).result(timeout=LONG) == 49
    program.close()
    assert program.shutdown.left == 0


@pytest.mark.timeout(2 * LONG)
def test_a_task_goes_near_its_data_while_it_is_not_crowded_there(program):
    pool = load(program, program.pool("alder"), program.pool("birch"), sites={"birch": "north"})
    connected(pool)
    assert {apps.near_north().result(timeout=LONG) for _ in range(6)} == {"birch"}
