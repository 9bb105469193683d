"""Parsl's own provider for Slurm in a pool, on a scheduler that blips, lies, hangs, limits and rejects."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from parsl.jobs.states import JobState

from parsl_diaspora.errors import NoMemberAvailable
from parsl_diaspora.events import StatusUnknown
from parsl_diaspora.providers import ResilientPoolProvider
from tests.services.scheduler.fixtures import scheduler
from tests.waiting import until

__all__ = ["scheduler"]

FOR_LONG = "sleep 600"


class Pool:
    """A pool of partitions of one scheduler."""

    def __init__(self, scheduler, directory, names=("left",), provider=None, **options):
        members = {name: scheduler.provider(partition=name, **(provider or {})) for name in names}
        self.provider = ResilientPoolProvider(members, max_blocks=50, **options)
        self.provider.script_dir = str(directory)
        self.events = []
        self.provider.say = self.events.append
        self.provider.run_id = "run"

    def submit(self, command=FOR_LONG):
        return self.provider.submit(command, 1, "parsl.cpu.block-0")

    def states(self, *jobs):
        return [status.state.name for status in self.provider.status(jobs)]

    def status(self, job):
        return self.provider.status([job])[0]

    def runs(self, *jobs):
        """All of them run, and have written down that they began."""
        until(
            lambda: (
                set(self.states(*jobs)) == {"RUNNING"} and all(self.provider._job(job).record for job in jobs)
            )
        )
        return jobs

    def ends(self, job):
        until(lambda: self.status(job).terminal)
        return self.status(job)

    def said(self, *kinds):
        return [event for event in self.events if isinstance(event, kinds)]


@pytest.fixture
def pool(scheduler, tmp_path):
    return Pool(scheduler, tmp_path)


def asked(scheduler):
    return Counter(command for _, command, _ in scheduler.calls())


def test_what_failed_is_not_taken_for_completed(pool):
    failed, ended = pool.submit("echo 'no such module' >&2; exit 7"), pool.submit("exit 0")
    assert (pool.ends(failed).state, pool.ends(failed).exit_code) == (JobState.FAILED, 7)
    assert "no such module" in pool.ends(failed).message
    assert (pool.ends(ended).state, pool.ends(ended).exit_code) == (JobState.COMPLETED, 0)


def test_a_block_whose_own_preparation_fails_tells_so(scheduler, tmp_path):
    pool = Pool(scheduler, tmp_path, provider={"worker_init": "module load python || exit 3"})
    assert pool.ends(pool.submit()).exit_code == 3


def test_what_an_administrator_cancels_is_cancelled(scheduler, pool):
    (job,) = pool.runs(pool.submit())
    scheduler.cancel(job.removeprefix("left/"))
    assert pool.ends(job).state == JobState.CANCELLED
    assert "signal 15" in pool.ends(job).message


def test_a_node_that_goes_down_is_told_from_a_script_that_ends(scheduler, tmp_path):
    options = {"scheduler_options": "#SBATCH --no-requeue"}
    pool = Pool(scheduler, tmp_path, provider=options, unknown_grace=3.0)
    (job,) = pool.runs(pool.submit())
    for node in scheduler.nodes:
        scheduler.down(node)
    assert pool.ends(job).state == JobState.FAILED
    assert pool.ends(job).message.startswith("NODE_FAIL: it began on ")


def test_a_block_that_is_requeued_is_not_lost(scheduler, pool):
    (job,) = pool.runs(pool.submit())
    for node in scheduler.nodes:
        scheduler.drain(node)
    scheduler.requeue(job.removeprefix("left/"))
    until(lambda: pool.states(job) == ["PENDING"])
    for node in scheduler.nodes:
        scheduler.resume(node)
    pool.runs(job)


@pytest.mark.slow
def test_a_block_that_is_ended_at_its_walltime_has_its_timeout(scheduler, tmp_path):
    pool = Pool(scheduler, tmp_path, provider={"walltime": "00:01:00"})
    job = pool.submit()
    assert pool.ends(job).state == JobState.TIMEOUT


@pytest.mark.parametrize("fault", ["blip", "lie"])
def test_a_scheduler_that_fails_or_lies_costs_no_block_and_gets_no_submission(scheduler, pool, fault):
    jobs = pool.runs(pool.submit(), pool.submit(), pool.submit())
    getattr(scheduler, fault)()
    until(lambda: pool.provider.status(jobs) and pool.said(StatusUnknown), 20)
    questions = asked(scheduler)["squeue"]
    until(lambda: _all_run(pool, jobs) and asked(scheduler)["squeue"] >= questions + 3, 30)
    scheduler.well()
    until(lambda: pool.states(*jobs) and pool.said(StatusUnknown)[-1].over, 20)
    assert pool.states(*jobs) == ["RUNNING"] * 3
    assert asked(scheduler)["sbatch"] == 3
    if fault == "blip":
        assert "Unable to contact slurm controller" in pool.said(StatusUnknown)[0].message


def test_a_scheduler_that_hangs_holds_nobody_up(scheduler, pool):
    (job,) = pool.runs(pool.submit())
    scheduler.delay(8.0, commands=["squeue"])
    until(lambda: time.sleep(2.1) or _takes(pool, job) > 1.5, 30)  # the first that asks waits for a moment
    assert _takes(pool, job) < 1.0
    assert pool.states(job) == ["RUNNING"]


def _all_run(pool, jobs):
    time.sleep(0.2)
    assert pool.states(*jobs) == ["RUNNING"] * len(jobs)
    return True


def _takes(pool, job):
    begun = time.monotonic()
    pool.states(job)
    return time.monotonic() - begun


def test_a_scheduler_that_bans_who_asks_too_often_bans_nobody(scheduler, tmp_path):
    scheduler.limit(3, ban_after=2)
    pool = Pool(scheduler, tmp_path, submissions_per_minute=3)
    taken = 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        try:
            taken += bool(pool.submit())
        except NoMemberAvailable as error:
            assert "suspended" not in str(error)  # noqa: PT017
            time.sleep(0.05)
    assert (taken, asked(scheduler)["sbatch"]) == (3, 3)


def test_the_schedulers_own_words_are_kept(scheduler, pool):
    scheduler.refuse(
        "Batch job submission failed: Invalid account or account/partition combination specified"
    )
    with pytest.raises(NoMemberAvailable, match="Invalid account or account/partition"):
        pool.submit()
    assert "Invalid account" in pool.provider.health()["left"].words


def test_a_partition_that_there_is_not_is_explained_and_the_other_takes_the_block(scheduler, tmp_path):
    pool = Pool(scheduler, tmp_path, names=("nowhere", "right"), order="listed")
    assert pool.submit().startswith("right/")
    assert "artition" in pool.provider.health()["nowhere"].words


def test_hosts_in_quarantine_get_no_block(scheduler, pool):
    pool.provider.exclude({"f1", "f2", "f3"})
    job = pool.submit()
    pool.runs(job)
    (known,) = scheduler.jobs()
    assert "f4" in str(known)


def test_a_submission_that_was_given_up_does_no_work_when_it_comes_after_all(scheduler, tmp_path):
    pool = Pool(scheduler, tmp_path, call_timeout=1.0)
    scheduler.delay(4.0, commands=["sbatch"])
    with pytest.raises(NoMemberAvailable, match="has not answered a submission for 1 s"):
        pool.submit(f"touch {tmp_path}/work")
    until(lambda: scheduler.jobs(ended=True))
    until(lambda: not scheduler.jobs())
    assert not (tmp_path / "work").exists()


def test_blocks_are_ended_when_they_are_asked_to(scheduler, pool):
    jobs = pool.runs(pool.submit(), pool.submit())
    assert pool.provider.cancel(jobs) == [True, True]
    assert {pool.ends(job).state for job in jobs} == {JobState.CANCELLED}
    until(lambda: not scheduler.jobs())
