"""A scheduler that says nothing, or what is not so, changes nothing by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl.jobs.states import TERMINAL_STATES, JobState

from parsl_diaspora.errors import NoMemberAvailable
from parsl_diaspora.events import MemberFailed, StatusUnknown
from tests.providers.scripted import INTERVAL, World

R, P = JobState.RUNNING, JobState.PENDING


def running(tmp_path, blocks=1, **options):
    """A world with blocks of oak that run and have written down their beginning."""
    world = World(tmp_path, **options)
    jobs = []
    for _ in range(blocks):
        with world.pool.directed("oak"):
            jobs.append(world.submit())
    world.schedulers["oak"].run()
    for job in jobs:
        world.write(job)
    assert world.look(*jobs) == [R] * blocks
    return world, jobs


def break_it(scheduler, how):
    if how == "fails":
        scheduler.down = "slurm_load_jobs error: Unable to contact slurm controller"
    elif how == "lies":
        scheduler.listed.clear()
    elif how == "raises":
        scheduler.status = lambda jobs: 1 / 0
    elif how == "is short":
        scheduler.status = lambda jobs: []
    elif how == "tells nonsense":
        scheduler.status = lambda jobs: [None for _ in jobs]
    elif how == "does not know":
        scheduler.listed = dict.fromkeys(scheduler.listed, JobState.UNKNOWN)


WAYS = ("fails", "lies", "raises", "is short", "tells nonsense", "does not know")


@pytest.mark.parametrize("how", WAYS)
def test_a_blip_loses_no_block_and_asks_for_none(tmp_path, how):
    world, jobs = running(tmp_path, blocks=3)
    oak = world.schedulers["oak"]
    before, states = len(oak.submissions), dict(oak.listed)
    break_it(oak, how)
    for _ in range(4):
        assert world.look(*jobs) == [R] * 3
    (said,) = world.said(StatusUnknown)
    assert (said.member, set(said.jobs), said.over) == ("oak", set(jobs), False)
    assert world.pool.health()["oak"].unknown == 3
    vars(oak).pop("status", None)
    oak.down, oak.listed = "", states
    assert world.look(*jobs) == [R] * 3
    assert [each.over for each in world.said(StatusUnknown)] == [False, True]
    assert len(oak.submissions) == before
    assert not world.said(MemberFailed)


def test_the_words_of_a_scheduler_that_fails_are_kept(tmp_path):
    world, jobs = running(tmp_path)
    break_it(world.schedulers["oak"], "fails")
    world.look(*jobs)
    assert "Unable to contact slurm controller" in world.said(StatusUnknown)[0].message


@given(story=st.lists(st.sampled_from(["fails", "lies", "does not know", "is well"]), max_size=12))
def test_whatever_a_scheduler_says_within_the_grace_all_blocks_stay(tmp_path_factory, story):
    world, jobs = running(tmp_path_factory.mktemp("scripts"), blocks=2, unknown_grace=10_000.0)
    oak = world.schedulers["oak"]
    states = dict(oak.listed)
    for how in story:
        oak.down, oak.listed = "", dict(states)
        break_it(oak, how)
        assert world.look(*jobs) == [R, R]
    assert len(oak.submissions) == 2


def test_a_scheduler_that_is_gone_for_a_day_ends_no_block_that_runs(tmp_path):
    world, jobs = running(tmp_path)
    world.pool.serving = lambda: jobs
    break_it(world.schedulers["oak"], "fails")
    for _ in range(24):
        assert world.look(*jobs, seconds=3600) == [R]
    world.pool.serving = None
    assert world.look(*jobs) == [R]


def test_an_empty_list_is_believed_after_the_grace(tmp_path):
    world, jobs = running(tmp_path)
    break_it(world.schedulers["oak"], "lies")
    assert world.look(*jobs, seconds=60) == [R]
    assert world.look(*jobs, seconds=299) == [R]
    assert world.look(*jobs, seconds=2) == [JobState.FAILED]
    assert world.status(jobs[0]).message.startswith("NODE_FAIL")


def test_an_empty_list_is_not_believed_while_managers_are_there(tmp_path):
    world, jobs = running(tmp_path)
    world.pool.serving = lambda: jobs
    break_it(world.schedulers["oak"], "lies")
    for _ in range(20):
        assert world.look(*jobs) == [R]


def test_it_is_believed_soon_when_the_managers_are_gone_too(tmp_path):
    world, jobs = running(tmp_path)
    serving = list(jobs)
    world.pool.serving = lambda: serving
    world.look(*jobs)
    serving.clear()
    break_it(world.schedulers["oak"], "lies")
    world.look(*jobs)
    assert world.look(*jobs, seconds=20) == [JobState.FAILED]


def test_one_job_that_is_missing_among_others_is_gone_after_two_answers(tmp_path):
    world, jobs = running(tmp_path, blocks=3)
    del world.schedulers["oak"].listed["2"]
    assert world.look(*jobs) == [R, R, R]
    assert world.look(*jobs) == [R, JobState.FAILED, R]


def test_one_job_that_is_missing_once_is_there(tmp_path):
    world, jobs = running(tmp_path, blocks=3)
    oak = world.schedulers["oak"]
    for _ in range(4):
        state = oak.listed.pop("2")
        assert world.look(*jobs) == [R, R, R]
        oak.listed["2"] = state
        assert world.look(*jobs) == [R, R, R]


def test_a_record_of_the_end_is_believed_at_once_and_without_the_scheduler(tmp_path):
    world, jobs = running(tmp_path)
    questions = len(world.schedulers["oak"].questions)
    break_it(world.schedulers["oak"], "fails")
    world.write(jobs[0], "status=3 at=NOW", since=30)
    assert world.look(*jobs, seconds=5) == [JobState.FAILED]
    assert world.status(jobs[0]).exit_code == 3
    assert len(world.schedulers["oak"].questions) == questions


def test_a_scheduler_is_asked_no_more_often_than_its_provider_says(tmp_path):
    world, jobs = running(tmp_path)
    oak = world.schedulers["oak"]
    oak.questions.clear()
    for _ in range(120):
        world.look(*jobs, seconds=5)
    assert len(oak.questions) == 600 // INTERVAL
    assert world.pool.status_polling_interval == 5


def test_a_job_that_was_requeued_is_not_lost(tmp_path):
    world, jobs = running(tmp_path)
    world.write(jobs[0], "signal=15 at=NOW", since=30)
    world.schedulers["oak"].listed["1"] = P
    assert world.look(*jobs) == [P]
    world.schedulers["oak"].run()
    world.write(jobs[0])
    assert world.look(*jobs) == [R]


def test_what_waits_at_a_scheduler_that_is_gone_is_given_up_where_another_can_take_it(tmp_path):
    world = World(tmp_path)
    with world.pool.directed("oak"):
        job = world.submit()
    world.look(job)
    break_it(world.schedulers["oak"], "fails")
    for _ in range(5):
        assert world.look(job) == [P]
    assert world.look(job) == [JobState.CANCELLED]
    base = world.pool._job(job).base
    assert base.with_name(base.name + ".revoked").exists()  # should it begin after all, it ends at once


def test_it_keeps_waiting_where_no_other_can(tmp_path):
    world = World(tmp_path, names=("oak",))
    job = world.submit()
    world.look(job)
    break_it(world.schedulers["oak"], "fails")
    for _ in range(100):
        assert world.look(job) == [P]


def test_a_member_that_does_not_answer_is_asked_last(tmp_path):
    world, jobs = running(tmp_path)
    with world.pool.directed("elm"):
        for _ in range(4):
            world.submit()  # else the one with fewer blocks would come first
    break_it(world.schedulers["oak"], "fails")
    world.look(*jobs)
    assert world.submit().startswith("elm/")


def test_a_purged_job_that_was_alone_is_gone_after_the_grace(tmp_path):
    from parsl_diaspora.providers import schedulers

    row = schedulers.Scheduler(type(World().schedulers["oak"]), (), None, "Invalid job id specified")
    before = schedulers.SCHEDULERS
    schedulers.SCHEDULERS = (row, *before)
    try:
        world, jobs = running(tmp_path)
        world.schedulers["oak"].down = "slurm_load_jobs error: Invalid job id specified"
        assert world.look(*jobs) == [R]
        assert world.look(*jobs, seconds=301) == [JobState.FAILED]
    finally:
        schedulers.SCHEDULERS = before


def test_a_provider_whose_blocks_leave_no_record_is_believed():
    world = World(None)
    job = world.submit()
    member = job.partition("/")[0]
    world.schedulers[member].run()
    world.look(job)
    world.schedulers[member].listed.clear()
    assert world.look(job) == [JobState.COMPLETED]


def test_nodes_that_do_not_see_our_files_make_the_scheduler_the_only_witness(tmp_path):
    world = World(tmp_path)
    job = world.submit()
    member = job.partition("/")[0]
    world.schedulers[member].run()
    world.pool.serving = lambda: [job]
    world.look(job)
    world.look(job, seconds=120)
    world.pool.serving = list
    world.schedulers[member].listed.clear()
    assert world.look(job) == [JobState.COMPLETED]


def test_a_job_of_nobody_is_unknown_and_cannot_be_ended():
    world = World()
    assert world.look("oak/77", "nobody") == [JobState.UNKNOWN] * 2
    assert world.pool.cancel(["oak/77", "nobody"]) == [False, False]


def test_what_parsl_writes_into_a_status_does_not_stay_there(tmp_path):
    world, jobs = running(tmp_path)
    world.status(jobs[0]).state = JobState.MISSING
    assert world.status(jobs[0]).state == R


def test_blocks_are_ended_at_their_own_schedulers():
    world = World()
    jobs = [world.submit() for _ in range(4)]
    assert world.pool.cancel(jobs) == [True] * 4
    assert {name: len(each.cancelled) for name, each in world.schedulers.items()} == {"oak": 2, "elm": 2}
    assert set(world.look(*jobs)) == {JobState.CANCELLED}


def test_an_order_to_end_that_the_scheduler_does_not_take_is_not_said_to_be_done(tmp_path):
    world, jobs = running(tmp_path)
    break_it(world.schedulers["oak"], "fails")
    assert world.pool.cancel(jobs) == [False]
    world.schedulers["oak"].down = ""
    assert world.pool.cancel(jobs) == [True]


def test_every_end_is_terminal_and_stays(tmp_path):
    world, jobs = running(tmp_path)
    world.write(jobs[0], "status=0 at=NOW")
    (ended,) = world.look(*jobs, seconds=5)
    assert ended in TERMINAL_STATES
    world.schedulers["oak"].run("1")
    assert world.look(*jobs) == [ended]


def test_events_that_cannot_be_said_hurt_nobody(tmp_path, caplog):
    world, _ = running(tmp_path)
    world.pool.say = lambda event: 1 / 0
    world.schedulers["oak"].rejects = world.schedulers["elm"].rejects = "no"
    with pytest.raises(NoMemberAvailable):
        world.submit()
    assert "could not be said" in caplog.text
