"""The fake scheduler serves Parsl's own provider for Slurm, and fails it in the ways that schedulers do."""

from __future__ import annotations

import subprocess
import traceback

import pytest
from parsl.jobs.states import JobState
from parsl.providers.errors import SubmitException

from tests.services.scheduler.fake import FakeScheduler
from tests.services.slurm import processes
from tests.waiting import becomes, until

FOR_LONG = "sleep 600"


@pytest.fixture
def provider(scheduler, tmp_path):
    return of(scheduler, tmp_path)


def of(scheduler, directory, **options):
    made = scheduler.provider(**options)
    made.script_dir = str(directory)
    return made


def state(provider, job):
    return provider.status([job])[0].state


def comes_to(provider, job, wanted):
    return becomes(lambda: state(provider, job) == wanted)


def test_a_job_waits_runs_and_ends(scheduler, provider):
    scheduler.hold()
    job = provider.submit("echo hello; test $SLURM_JOB_ID = 1", 1)
    assert state(provider, job) == JobState.PENDING
    scheduler.hold(False)
    assert comes_to(provider, job, JobState.COMPLETED)
    assert "hello\n" in provider.status([job])[0].stdout
    (known,) = scheduler.jobs(ended=True)
    assert (known["state"], known["code"]) == ("COMPLETED", 0)


def test_stock_takes_a_job_that_failed_for_one_that_completed(scheduler, provider):
    job = provider.submit("exit 7", 1)
    assert comes_to(provider, job, JobState.COMPLETED)
    (known,) = scheduler.jobs(ended=True)
    assert (known["state"], known["code"]) == ("FAILED", 7)


def test_with_accounts_the_end_is_known(tmp_path, monkeypatch):
    scheduler = FakeScheduler(tmp_path, minute=0.1, accounting=True)
    monkeypatch.setenv("PATH", scheduler.env["PATH"])
    try:
        provider = of(scheduler, tmp_path)
        failed, late = provider.submit("exit 7", 1), provider.submit(FOR_LONG, 1)
        assert comes_to(provider, failed, JobState.FAILED)
        assert comes_to(provider, late, JobState.TIMEOUT)
        gone = provider.submit(FOR_LONG, 1)
        assert comes_to(provider, gone, JobState.RUNNING)
        scheduler.cancel(gone)
        assert comes_to(provider, gone, JobState.CANCELLED)
    finally:
        scheduler.close()


def test_jobs_that_are_cancelled_leave_no_process(scheduler, provider):
    job = provider.submit(f"setsid {FOR_LONG} & {FOR_LONG}", 1)
    until(lambda: len(sleepers(scheduler)) == 2)
    assert provider.cancel([job]) == [True]
    assert becomes(lambda: not sleepers(scheduler))
    assert becomes(lambda: scheduler.jobs(ended=True)[0]["state"] == "CANCELLED")


def sleepers(scheduler):
    return [each for each in processes.marked(str(scheduler.directory)) if each.name() == "sleep"]


def test_nodes_are_given_once_and_excluded_ones_never(scheduler, tmp_path):
    provider = of(scheduler, tmp_path, scheduler_options="#SBATCH --exclude=f1,f3")
    jobs = [provider.submit(FOR_LONG, 1) for _ in range(3)]
    assert all(comes_to(provider, job, JobState.RUNNING) for job in jobs[:2])
    assert {node for job in scheduler.jobs() for node in job["nodes"]} == {"f2", "f4"}
    assert state(provider, jobs[2]) == JobState.PENDING


def test_a_dead_node_takes_its_job_with_it(scheduler, provider):
    job = provider.submit(FOR_LONG, 1)
    assert comes_to(provider, job, JobState.RUNNING)
    scheduler.down(scheduler.jobs()[0]["nodes"][0])
    assert comes_to(provider, job, JobState.COMPLETED)  # stock does not know better
    assert scheduler.jobs(ended=True)[0]["state"] == "NODE_FAIL"
    assert not sleepers(scheduler)


def test_a_requeued_job_runs_again(scheduler, provider, tmp_path):
    job = provider.submit(f"echo >> {tmp_path}/began; {FOR_LONG}", 1)
    until(lambda: sleepers(scheduler))
    scheduler.requeue(job)
    assert becomes(lambda: (tmp_path / "began").read_text() == "\n\n")
    assert comes_to(provider, job, JobState.RUNNING)


def test_a_blip_tells_nothing_of_jobs_and_takes_none(scheduler, provider):
    job = provider.submit(FOR_LONG, 1)
    assert comes_to(provider, job, JobState.RUNNING)
    scheduler.blip()
    assert state(provider, job) == JobState.RUNNING
    with pytest.raises(SubmitException, match="Unable to contact slurm controller"):
        provider.submit(FOR_LONG, 1)
    scheduler.blip(0.0)
    assert provider.submit(FOR_LONG, 1) == "2"


def test_a_lie_ends_every_job_in_the_eyes_of_stock(scheduler, provider):
    job = provider.submit(FOR_LONG, 1)
    assert comes_to(provider, job, JobState.RUNNING)
    scheduler.lie()
    assert state(provider, job) == JobState.COMPLETED
    assert scheduler.jobs()[0]["state"] == "RUNNING"


def test_a_slow_scheduler_takes_a_job_that_stock_has_given_up(scheduler, provider):
    scheduler.delay(3, commands=["sbatch"])
    provider.cmd_timeout = 1
    with pytest.raises(subprocess.TimeoutExpired) as given_up:
        provider.submit(FOR_LONG, 1)
    assert provider.resources == {}
    left = [frame.f_locals.get("proc") for frame, _ in traceback.walk_tb(given_up.tb)]
    next(filter(None, left)).communicate()  # Parsl leaves it alone
    assert scheduler.jobs()


def test_who_submits_too_fast_is_refused_and_then_banned(scheduler, provider):
    scheduler.limit(2, ban_after=2)
    scheduler.hold()
    assert [provider.submit("true", 1) for _ in range(2)] == ["1", "2"]
    with pytest.raises(SubmitException, match="Rate limit"):
        provider.submit("true", 1)
    for _ in range(2):
        with pytest.raises(SubmitException, match="suspended"):
            provider.submit("true", 1)
    assert len(scheduler.calls("sbatch")) == 5


def test_a_forgotten_job_is_an_error_that_updates_nothing(scheduler, provider):
    job = provider.submit("true", 1)
    until(lambda: not scheduler.jobs())
    scheduler.forget(job)
    assert state(provider, job) == JobState.PENDING


def test_a_partition_that_does_not_exist_is_refused(scheduler, tmp_path):
    with pytest.raises(SubmitException, match="Invalid partition name"):
        of(scheduler, tmp_path, partition="nowhere").submit("true", 1)
