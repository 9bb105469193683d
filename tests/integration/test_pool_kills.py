"""Members of a pool of executors under real kills, a cancel between two copies, quarantine in a member."""

from __future__ import annotations

import pytest

from parsl_diaspora import cancel
from parsl_diaspora.errors import TaskCancelled
from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    ManagerSeen,
    MemberReplaced,
    PlaceQuarantined,
    TaskEnded,
    TaskHedged,
    TryEnded,
    TryFailed,
    TryStarted,
    TryStopped,
)
from parsl_diaspora.monitoring.cancelling.cancels import Cancelled
from tests.integration import pool_apps as apps
from tests.integration.looking import LONG, of, until
from tests.integration.test_lost_blocks import quick
from tests.integration.test_pool_executor import at, connected, load, traces
from tests.integration.test_pool_provider import kill_site

NO_RETRIES = {"application": 0}  # of the app's own: what is charged to it ends the task


def session_of(program):
    return program.kernel.memoizer.session


def both(managers):
    """The two of them, as soon as both are there."""
    return sorted(managers) if len(managers) > 1 else None


def check_lost(events, tasks, label):
    """Tries were lost at a member, each task had one end, a good one, and no loss was charged to the app."""
    assert {event.executor for event in of(events, TryFailed)} == {label}
    assert "application" not in {event.budget for event in of(events, DecisionMade)}
    assert {event.target for event in of(events, DecisionMade) if event.action == "move"} == {"birch"}
    outcomes = {event.task: event.outcome for event in of(events, TaskEnded)}
    assert outcomes == dict.fromkeys(range(tasks), "done")


@pytest.mark.timeout(3 * LONG)
def test_when_all_blocks_of_one_member_are_killed_its_tasks_are_done_and_it_comes_back(program, check_story):
    pool = load(
        program,
        program.pool("alder", **quick(program, init=2, most=2)),
        program.pool("birch"),
        settings={"retries": NO_RETRIES},
    )
    connected(pool)
    until(lambda: len(pool.seats["alder"].executor.connected_managers()) == 2)
    futures = [apps.square(n, 3.0) for n in range(18)]
    until(lambda: len([each for each in at(pool, "alder") if each.started]) >= 3)
    kill_site(program, "alder")
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(18)]
    alder, more = pool.seats["alder"].executor, []

    def is_back():
        """Blocks are replaced as far as there is work for them."""
        more.extend(apps.square(n, 0.2) for n in range(4))
        assert [future.result(timeout=LONG) for future in more[-4:]] == [0, 1, 4, 9]
        return alder.connected_managers()

    until(is_back)
    assert pool.seats["alder"].number == 1, "its interchange lives: new blocks are enough"

    events = program.events()
    check_story(events)
    check_lost(events, 18 + len(more), "alder")
    killed = {event.block for event in of(events, BlockLost) if not event.expected}
    assert {"0", "1"} <= killed
    came = {event.block for event in of(events, ManagerSeen) if event.executor == "alder"}
    assert came > {"0", "1"}
    assert program.shutdown.left == 0


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_a_member_of_which_every_process_is_killed_is_replaced_and_the_others_do_its_tasks(
    program, check_story
):
    settings = {"retries": NO_RETRIES, "interchange_restarts": 0}
    pool = load(program, program.pool("alder"), program.pool("birch"), settings=settings)
    connected(pool)
    futures = [apps.square(n, 3.0) for n in range(18)]
    until(lambda: [each for each in at(pool, "alder") if each.started])
    pool.seats["alder"].executor.interchange_proc.kill()
    kill_site(program, "alder")
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(18)]
    until(lambda: pool.seats["alder"].number == 2)
    until(lambda: pool.seats["alder"].slots)
    assert {apps.where().result(timeout=LONG) for _ in range(8)} == {"alder", "birch"}

    events = program.events()
    check_story(events)
    check_lost(events, 26, "alder")
    (replaced,) = of(events, MemberReplaced)
    assert (replaced.executor, replaced.number) == ("alder", 2)
    assert program.shutdown.left == 0


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_cancel_between_two_copies_of_a_task_stops_both(program, check_story, tmp_path):
    pool = load(program, program.pool("alder"), program.pool("birch"), hedge_share=0.5)
    connected(pool)
    quickly = [apps.two_stragglers(str(tmp_path), n) for n in range(12)]
    assert len([future.result(timeout=LONG) for future in quickly]) == 12
    directory = tmp_path / "late"
    directory.mkdir()
    late = apps.two_stragglers(str(directory), 1000)
    until(lambda: len(traces(directory, 1000)) == 2)  # both copies have begun, and both take a minute
    session = session_of(program)
    until(
        lambda: len([each for each in session.live.picture.managers.values() if each.running]) == 2,
    )
    assert cancel(late, "enough") is Cancelled.STOPPING
    with pytest.raises(TaskCancelled):
        late.result(timeout=LONG)
    until(lambda: not any(member.outstanding for member in pool.seats.values()), 40)

    events = program.events()
    check_story(events)
    (hedged,) = of(events, TaskHedged)
    stopped = [event for event in of(events, TryStopped) if event.task == late.tid]
    assert {event.executor for event in stopped} == {hedged.executor, hedged.to}
    assert [event.outcome for event in of(events, TaskEnded) if event.task == late.tid] == ["cancelled"]
    assert not [event for event in of(events, TryEnded) if event.task == late.tid]


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_manager_in_quarantine_gets_nothing_and_a_member_that_has_no_other_rests(program, check_story):
    pool = load(program, program.pool("alder", **quick(program, init=2, most=2)), program.pool("birch"))
    connected(pool)
    session = session_of(program)
    bad, good = until(lambda: both(session.live.picture.present.get("alder", ())))
    assert session.quarantines.place("manager", bad, 600, "its disk is full")
    until(lambda: session.live.picture.quarantined.reasons)
    futures = [apps.square(n, 0.3) for n in range(24)]
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(24)]
    assert session.quarantines.place("executor", "alder", 600, "its file system hangs")
    late = [apps.where() for _ in range(8)]
    assert {future.result(timeout=LONG) for future in late} == {"birch"}

    events = program.events()
    check_story(events)
    begun = {event.manager for event in of(events, TryStarted)}
    assert bad not in begun
    assert good in begun
    assert len(of(events, PlaceQuarantined)) == 2
