"""At most so many submissions a minute, whatever schedulers answer; a member that does badly rests."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.errors import NoMemberAvailable
from parsl_diaspora.events import MemberFailed, MemberRecovered, SubmissionRefused
from parsl_diaspora.providers.breaker import JITTER, Breaker
from parsl_diaspora.providers.rate import SubmissionRate
from parsl_diaspora.testing.clock import VirtualClock
from tests.providers.scripted import World

steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "reject", "take", "die", "look"]),
        st.floats(0, 45, allow_nan=False),
        st.sampled_from(["oak", "elm"]),
    ),
    max_size=80,
)


def most_within_a_minute(times):
    return max((sum(start <= when < start + 60 for when in times) for start in times), default=0)


@given(per_minute=st.integers(1, 6), pauses=st.lists(st.floats(0, 70, allow_nan=False), max_size=60))
def test_no_minute_holds_more_than_are_allowed(per_minute, pauses):
    clock = VirtualClock()
    rate = SubmissionRate(clock, per_minute)
    taken = []
    for pause in pauses:
        clock.advance(pause)
        may = most_within_a_minute([*taken, clock.monotonic()]) <= per_minute
        assert rate.take() == may  # nor is one refused that may be
        taken += [clock.monotonic()] if may else []
    assert most_within_a_minute(taken) <= per_minute


@given(per_minute=st.integers(1, 4), story=steps)
def test_no_scheduler_gets_more_whatever_it_answers_and_however_often_it_is_wanted(per_minute, story):
    world = World(submissions_per_minute=per_minute, max_blocks=500)
    jobs = []
    for what, pause, name in story:
        world.clock.advance(pause)
        scheduler = world.schedulers[name]
        if what == "reject":
            scheduler.rejects = "sbatch: error: QOSMaxSubmitJobPerUserLimit"
        elif what == "take":
            scheduler.rejects = ""
        elif what == "die":
            scheduler.listed.clear()
        elif what == "look":
            world.pool.status(jobs)
        for _ in range(5):
            try:
                jobs.append(world.submit())
            except NoMemberAvailable:
                continue
    for scheduler in world.schedulers.values():
        assert most_within_a_minute(scheduler.submissions) <= per_minute


def test_a_member_that_rejects_rests_and_the_others_take_the_blocks():
    world = World(order="listed")
    world.schedulers["oak"].rejects = "sbatch: error: Batch job submission failed: Invalid account"
    taken = []
    for _ in range(10):
        taken.append(world.submit())
        world.clock.advance(20)
    assert all(job.startswith("elm/") for job in taken)
    failed = world.said(MemberFailed)[0]
    assert failed.member == "oak"
    assert failed.failures == 3
    assert "Invalid account" in failed.message
    assert len(world.schedulers["oak"].submissions) < 8  # it was left alone while it rested


def test_the_trial_after_a_rest_brings_it_back():
    world = World(order="listed")
    oak = world.schedulers["oak"]
    oak.rejects = "sbatch: error: Unable to contact slurm controller"
    for _ in range(3):
        world.submit()
    assert world.pool.health()["oak"].breaker == "open"
    oak.rejects = ""
    world.clock.advance(45)
    assert world.submit() == "oak/1"  # a member that has rested is tried first
    assert world.pool.health()["oak"].breaker == "closed"
    assert world.said(MemberRecovered)[0].seconds == pytest.approx(45)


def test_a_trial_that_fails_doubles_the_rest():
    world = World(order="listed")
    world.schedulers["oak"].rejects = "no"
    for _ in range(60):
        world.submit()
        world.clock.advance(20)
    rests = [event.rest for event in world.said(MemberFailed)]
    assert len(rests) >= 4
    for number, rest in enumerate(rests):
        assert 30 * 2**number * (1 - JITTER) <= rest <= 30 * 2**number * (1 + JITTER)


def test_no_rest_is_longer_than_the_longest():
    clock = VirtualClock()
    breaker = Breaker(clock, Random(3), failures=1, rest=30, longest=100)
    for _ in range(10):
        breaker.begin()
        assert breaker.rejected()
        assert breaker.rests_for <= 100
        clock.advance(100)


def test_rests_of_two_programs_differ_and_one_seed_gives_the_same():
    def rest(seed):
        breaker = Breaker(VirtualClock(), Random(seed), failures=1)
        breaker.rejected()
        return breaker.rests_for

    assert rest(1) == rest(1)
    assert rest(1) != rest(2)


def test_the_error_has_the_words_of_every_scheduler_and_when_to_come_back():
    world = World()
    world.schedulers["oak"].rejects = "sbatch: error: Invalid account or account/partition combination"
    world.schedulers["elm"].rejects = "qsub: would exceed queue's job limit"
    with pytest.raises(NoMemberAvailable) as raised:
        world.submit()
    assert raised.value.rejected == ("oak", "elm")
    assert "Invalid account" in raised.value.reasons["oak"]
    assert "would exceed queue's job limit" in str(raised.value)
    for _ in range(2):
        with pytest.raises(NoMemberAvailable):
            world.submit()
    with pytest.raises(NoMemberAvailable, match=r"it rests for .* after 3 failures in a row") as raised:
        world.submit()
    assert raised.value.rejected == ()
    assert 20 < raised.value.wait < 40


def test_a_submission_without_a_job_id_is_a_rejection():
    world = World(names=("oak",))
    world.schedulers["oak"].submit = lambda *_: None
    with pytest.raises(NoMemberAvailable, match="no job id"):
        world.submit()


def test_what_is_held_back_is_said_once_until_something_is_taken():
    world = World(names=("oak",), submissions_per_minute=2)
    for _ in range(2):
        world.submit()
    for _ in range(5):
        with pytest.raises(NoMemberAvailable, match="2 submissions within a minute"):
            world.submit()
        world.clock.advance(2)
    (refused,) = world.said(SubmissionRefused)
    assert not refused.by_scheduler
    assert refused.held_for == pytest.approx(60)
    world.clock.advance(60)
    world.submit()


def test_how_many_may_be_submitted_now_can_be_asked():
    world = World(submissions_per_minute=3, member_max_blocks={"elm": 1})
    assert (world.pool.room(), world.pool.room("elm"), world.pool.can_submit()) == (4, 1, 0.0)
    for _ in range(4):
        world.submit()
    assert world.pool.room() == 0
    assert world.pool.can_submit("elm") == float("inf")
    assert world.pool.can_submit() == pytest.approx(60)
    with pytest.raises(NoMemberAvailable, match="it has 1 blocks, and may have 1"):
        world.submit()


def test_blocks_that_fail_one_after_another_let_their_member_rest_until_one_works(tmp_path):
    world = World(tmp_path, start_grace=30.0)
    oak = world.schedulers["oak"]
    for _ in range(3):
        with world.pool.directed("oak"):
            job = world.submit()
        oak.run(job.removeprefix("oak/"))
        world.look(job, seconds=60)
        world.write(job, "status=127 at=NOW", since=1)
        world.look(job, seconds=1)
    failed = world.said(MemberFailed)[0]
    assert "exit code 127" in failed.message
    assert all(world.submit().startswith("elm/") for _ in range(3))
    world.clock.advance(60)
    trial = world.submit()
    assert trial == "oak/4"
    assert world.pool.health()["oak"].breaker == "trial"  # that the scheduler took it tells nothing
    with world.pool.directed("oak"), pytest.raises(NoMemberAvailable, match="on trial"):
        world.submit()
    oak.run("4")
    world.look(trial)
    world.look(trial, seconds=31)
    assert world.pool.health()["oak"].breaker == "closed"
    assert world.said(MemberRecovered)[0].member == "oak"


def test_a_trial_that_is_given_back_makes_place_for_another(tmp_path):
    world = World(tmp_path, breaker_failures=1)
    with world.pool.directed("oak"):
        job = world.submit()
    world.schedulers["oak"].run()
    world.write(job, "status=1 at=NOW")
    world.look(job)
    world.clock.advance(60)
    trial = world.submit()
    assert trial == "oak/2"
    assert world.pool.cancel([trial]) == [True]
    world.look(trial)
    assert world.submit() == "oak/3"


def test_a_member_that_has_lost_blocks_lately_is_asked_last(tmp_path):
    world = World(tmp_path)
    with world.pool.directed("oak"):
        job = world.submit()
    world.schedulers["oak"].run()
    world.write(job, "status=1 at=NOW")
    world.look(job)
    assert [world.submit().partition("/")[0] for _ in range(3)] == ["elm"] * 3
    world.clock.advance(700)
    assert world.pool.health()["oak"].lost == 0


def test_a_member_that_rejected_lately_is_asked_last_but_not_for_ever():
    world = World()
    world.schedulers["oak"].rejects = "sbatch: error: Socket timed out on send/recv operation"
    world.submit()
    world.schedulers["oak"].rejects = ""
    assert [world.submit().partition("/")[0] for _ in range(3)] == ["elm"] * 3
    world.clock.advance(700)
    assert world.submit() == "oak/1"
