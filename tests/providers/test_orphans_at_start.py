"""What dead runs of the same directory have left in the queue is ended when the next one starts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from parsl.providers import LocalProvider

from parsl_diaspora import PoolSpec, SiteSpec, open_fabric
from parsl_diaspora.errors import PoolError
from parsl_diaspora.events import OrphansFound, RunEnded, RunStarted
from parsl_diaspora.monitoring.orphans import PART, Orphans, orphans_of
from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.providers.local_jobs import LocalQueue
from parsl_diaspora.providers.queues import SlurmQueue
from parsl_diaspora.state import read_events
from parsl_diaspora.state.run_record import RunRecord
from parsl_diaspora.testing.clock import VirtualClock
from parsl_diaspora.testing.processes import find, sweep
from tests.providers.leaving import BLOCKS, ROOT
from tests.waiting import LONG, becomes, until

ENDED, KILLED, REBOOTED, ALIVE, FAR, STRANGE, OLD, ELSEWHERE, OWN = (
    f"{number:08x}-75d4-4f5c-9c39-1e1a3a6f3c11" for number in range(1, 10)
)
DEAD = {ENDED, KILLED, REBOOTED, OLD}


def record(directory, run, **changes):
    """A run with its directory; by default its program is this process."""
    (directory / "submit_scripts").mkdir(parents=True)
    made = msgspec.structs.replace(RunRecord.of_this_program(run, "fit.py"), **changes)
    made.write(directory)
    return directory


@pytest.fixture
def runs(tmp_path):
    """Directories of runs, by run."""
    here = tmp_path / "runinfo"
    gone = subprocess.Popen(["true"])
    gone.wait()
    found = {
        ENDED: record(here / "000", ENDED, ended=time.time()),
        KILLED: record(here / "001", KILLED, pid=gone.pid),
        REBOOTED: record(here / "002", REBOOTED, boot="another"),
        ALIVE: record(here / "003", ALIVE),
        FAR: record(here / "004", FAR, node="elsewhere", pid=gone.pid),
        STRANGE: here / "005",
        OLD: here / "006",
        ELSEWHERE: record(tmp_path / "others" / "000", ELSEWHERE, ended=time.time()),
        OWN: record(here / "007", OWN),
    }
    for run in (STRANGE, OLD):  # of the first, of stock Parsl, nothing is known
        (found[run] / "submit_scripts").mkdir(parents=True)
    publisher = open_fabric(f"file:{found[OLD] / 'events'}").publisher("test")  # has a log and no record
    publisher.publish(RunStarted(run=OLD, node=os.uname().nodename, run_dir=str(found[OLD])))
    publisher.publish(RunEnded(run=OLD))
    publisher.close()
    return found


@pytest.fixture
def jobs(scheduler, runs):
    """A block of each run waits in the queue: job ids by run."""
    scheduler.hold()
    ids = {}
    for run, directory in runs.items():
        provider = scheduler.provider()
        provider.script_dir = str(directory / "submit_scripts")
        ids[run] = provider.submit("true", 1, f"parsl.alder.block-0.{run}.east")
    return ids


class Look:
    """One run that starts."""

    def __init__(self, run_dir, queue, *, cancel=True):
        self.said, self.faults = [], []
        self.clock = VirtualClock()
        self.orphans = Orphans(
            OWN,
            run_dir,
            [queue],
            cancel=cancel,
            say=self.said.append,
            absorb=lambda part, error: self.faults.append((part, str(error))),
            clock=self.clock,
        )


def left(scheduler):
    return {job["id"] for job in scheduler.jobs()}


def test_blocks_of_dead_runs_are_ended_and_nobody_elses(jobs, runs, scheduler):
    """Alive, far away, unknown, or of another directory: they are left."""
    look = Look(runs[OWN], SlurmQueue())
    look.orphans.look(SlurmQueue())
    assert left(scheduler) == {job for run, job in jobs.items() if run not in DEAD}
    assert {event.dead_run: event.jobs for event in look.said} == {run: (jobs[run],) for run in DEAD}
    told = {event.dead_run: event for event in look.said}
    assert all(event.cancelled and not event.left for event in look.said)
    assert told[KILLED].message.startswith("Its program is gone")
    assert told[ENDED].message.startswith("Its run has ended")
    assert told[KILLED].program == "fit.py"
    assert look.faults == []


def test_they_are_only_told_of_where_that_is_wanted(jobs, runs, scheduler):
    look = Look(runs[OWN], SlurmQueue(), cancel=False)
    look.orphans.look(SlurmQueue())
    assert left(scheduler) == set(jobs.values())
    assert {event.dead_run for event in look.said} == DEAD
    assert not any(event.cancelled for event in look.said)


def test_a_run_whose_script_the_scheduler_does_not_tell_is_found_by_its_id(jobs, runs, scheduler):
    class Terse(SlurmQueue):
        def jobs(self):
            return [msgspec.structs.replace(job, script="") for job in super().jobs()]

    look = Look(runs[OWN], Terse())
    look.orphans.look(Terse())
    assert left(scheduler) == {job for run, job in jobs.items() if run not in DEAD - {OLD}}


def test_a_scheduler_that_does_not_answer_is_asked_again_later_and_ends_nothing(jobs, runs, scheduler):
    look = Look(runs[OWN], SlurmQueue())
    scheduler.blip(commands=["squeue"])
    look.orphans.start()
    look.clock.settle()
    look.clock.advance(2.0)
    until(lambda: look.faults)
    assert left(scheduler) == set(jobs.values())
    assert [part for part, _ in look.faults] == [PART]
    assert "Unable to contact slurm controller" in look.faults[0][1]
    scheduler.blip(0.0, commands=["squeue"])  # that is over; no job starts, as the queue is still full
    look.clock.settle()
    look.clock.advance(30.0)
    until(lambda: look.clock.advance(0.5) or look.said)
    assert left(scheduler) == {job for run, job in jobs.items() if run not in DEAD}
    look.orphans.close()


def test_blocks_that_stay_in_the_queue_are_named(jobs, runs, scheduler):
    class Deaf(SlurmQueue):
        listed = None

        def jobs(self):
            self.listed = self.listed or super().jobs()
            return self.listed

        def cancel(self, ids):
            return

    look = Look(runs[OWN], Deaf())
    with pytest.raises(PoolError, match=f"still in the queue.*{jobs[KILLED]}"):
        look.orphans.look(Deaf())
    assert all(event.left == event.jobs for event in look.said)


# --- whole programs ---


def start(directory, kind):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.providers.leaving", str(directory), kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def killed_at_the_end(program):
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


def told(directory):
    return [each for each in read_events(open_fabric(f"file:{directory}/log")) if type(each) is OrphansFound]


@pytest.mark.timeout(2 * LONG)
def test_what_a_killed_program_left_in_the_queue_is_ended_by_the_next_one(scheduler, tmp_path):
    scheduler.hold()
    with killed_at_the_end(start(tmp_path, "slurm")) as first:
        run = first.stdout.readline().split()[0]
        until(lambda: len(left(scheduler)) == BLOCKS)
        old = left(scheduler)
    with killed_at_the_end(start(tmp_path, "slurm")) as second:
        own = second.stdout.readline().split()[0]
        assert becomes(lambda: not old & left(scheduler), 30)
        until(lambda: len(left(scheduler)) == BLOCKS)
        (event,) = until(lambda: told(tmp_path))
        assert (event.run, event.dead_run, set(event.jobs), event.left) == (own, run, old, ())


@pytest.mark.timeout(2 * LONG)
def test_blocks_on_this_host_that_a_killed_program_left_are_ended_by_the_next_one(tmp_path):
    """They stand still before their managers, in their environment, so that nothing else would end them."""
    mark = str(tmp_path)[-40:]
    try:
        with killed_at_the_end(start(tmp_path, "local")) as first:
            run = first.stdout.readline().split()[0]
            until(lambda: len(LocalQueue().jobs()) >= BLOCKS and len(find(mark)) >= BLOCKS)
            until(lambda: len(list(Path(tmp_path, "runinfo", "000").rglob("*.sh"))) == BLOCKS)
        old = {path.stem for path in Path(tmp_path, "runinfo", "000").rglob("*.sh")}
        assert {job.id for job in LocalQueue().jobs()} >= old, "they outlive their program"
        with killed_at_the_end(start(tmp_path, "local")):
            assert becomes(lambda: not old & {job.id for job in LocalQueue().jobs()}, 30)
            (event,) = until(lambda: told(tmp_path))
            assert (event.dead_run, set(event.jobs), event.left) == (run, old, ())
            own = {path.stem for path in Path(tmp_path, "runinfo", "001").rglob("*.sh")}
            assert own <= {job.id for job in LocalQueue().jobs()}, "its own blocks go on"
    finally:
        sweep(mark)
        LocalQueue().cancel([job.id for job in LocalQueue().jobs() if str(tmp_path) in job.script])


# --- what governs it ---


class Alder:
    """What is looked at of an executor."""

    def __init__(self, provider):
        self.provider = provider


def pooled(**options):
    return Alder(ResilientPoolProvider({"here": LocalProvider()}, **options))


@pytest.mark.parametrize(
    ("executor", "spec", "wanted"),
    [
        (Alder(LocalProvider()), None, None),
        (pooled(), None, True),
        (pooled(orphans="report"), None, False),
        (pooled(orphans="leave"), None, None),
        (Alder(LocalProvider()), {}, True),
        (Alder(LocalProvider()), {"orphans": "report"}, False),
        (pooled(), {"orphans": "leave"}, None),
    ],
)
def test_it_is_done_for_pools_only_and_as_the_settings_want_it(executor, spec, wanted, tmp_path):
    pool = None if spec is None else PoolSpec(sites={"alder": SiteSpec()}, **spec)
    found = orphans_of(
        OWN, tmp_path, {"alder": executor}, pool, say=print, absorb=print, clock=VirtualClock()
    )
    assert wanted == (None if found is None else found._cancel)


def test_a_wish_that_is_none_is_refused():
    with pytest.raises(PoolError, match="orphans"):
        pooled(orphans="kill")
