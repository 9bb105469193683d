"""How a block ended is told by its own record where the scheduler has forgotten it; real shells write it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl.jobs.states import JobState

from parsl_diaspora.executors.alive import is_alive
from parsl_diaspora.providers.exit_record import ENDS, ExitRecord, parse, prologue, read, revoke
from parsl_diaspora.providers.verdict import Ended, verdict
from tests.providers.scripted import World
from tests.waiting import until

GONE = JobState.COMPLETED  # what Parsl's providers say of a job that the scheduler no longer lists


def script(tmp_path, text, shell="bash"):
    """A block's script, as a batch system runs it; the base of its record."""
    base = tmp_path / "a block's name"
    path = tmp_path / "script"
    path.write_text(prologue(base) + text)
    return base, [shell, str(path)]


@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize(
    "text",
    ["exit 7", "set -e\nfalse || exit 7", "CMD() {\nreturn 7\n}\nCMD &\nwait $!", "(exit 7)"],
)
def test_the_exit_status_of_a_script_is_written_down_and_kept(tmp_path, shell, text):
    base, command = script(tmp_path, text + "\n", shell)
    assert subprocess.run(command, check=False, timeout=30).returncode == 7
    record = read(base)
    assert (record.status, record.signal, record.exit_code) == (7, 0, 7)
    assert abs(record.start - time.time()) < 30
    assert record.host


def test_nothing_is_written_to_the_scripts_output(tmp_path):
    base, command = script(tmp_path, "echo work\n")
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("work\n", "")
    assert read(base).status == 0


def sleeper_of(process):
    """What runs in a script that has come to its own lines."""
    return [each for each in psutil.Process(process.pid).children() if "sleep" in name_of(each)]


def name_of(process):
    """Its name; empty if it has ended meanwhile, as the prologue's commands do at once."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


@pytest.mark.parametrize("text", ["sleep 60 &\nwait $!\n", "sleep 60 &\nwait\n"])
def test_the_signal_that_ends_a_script_is_written_down_and_ends_it(tmp_path, text):
    base, command = script(tmp_path, text)
    process = subprocess.Popen(command, start_new_session=True)
    until(lambda: sleeper_of(process), 30)
    assert not read(base).has_ended
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    assert (read(base).signal, read(base).exit_code) == (15, 143)


def test_what_runs_below_a_script_gets_signals_as_ever(tmp_path):
    base, command = script(tmp_path, "sleep 60 &\nwait $!\n")
    process = subprocess.Popen(command, start_new_session=True)
    (child,) = until(lambda: sleeper_of(process), 30)
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
    until(lambda: not is_alive(child), 30)
    assert read(base).signal == 15


def test_a_script_that_is_killed_leaves_a_record_without_an_end(tmp_path):
    base, command = script(tmp_path, "sleep 60 &\nwait\n")
    process = subprocess.Popen(command, start_new_session=True)
    until(lambda: read(base), 30)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    assert not read(base).has_ended


def test_a_block_that_was_given_up_does_nothing_when_it_begins_after_all(tmp_path):
    base, command = script(tmp_path, f"touch {tmp_path}/work\n")
    revoke(base)
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    assert "given up" in done.stderr
    assert not (tmp_path / "work").exists()


def test_a_directory_that_is_not_there_hurts_no_block(tmp_path):
    base = tmp_path / "missing" / "block"
    path = tmp_path / "script"
    path.write_text(prologue(base) + "echo work\nexit 3\n")
    done = subprocess.run(["bash", str(path)], check=False, timeout=30, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "work\n", "")
    assert read(base) is None


def test_what_runs_in_a_block_is_told_when_its_walltime_is_over(tmp_path):
    path = tmp_path / "script"
    path.write_text(prologue(tmp_path / "block", 5430.0) + f"bash -c 'echo ${ENDS}'\n")
    done = subprocess.run(["bash", str(path)], check=True, timeout=30, capture_output=True, text=True)
    assert int(done.stdout) == pytest.approx(time.time() + 5400, abs=30)  # schedulers count in minutes


def test_a_member_without_a_walltime_tells_of_no_end(tmp_path):
    world = World(tmp_path, names=("oak", "elm"), order="listed", member_max_blocks={"oak": 1})
    world.schedulers["elm"].walltime = None
    world.submit()
    world.submit()
    assert [ENDS in world.schedulers[name].scripts[0] for name in ("oak", "elm")] == [True, False]


@given(st.text(max_size=80))
def test_what_is_no_record_is_none(text):
    assert parse(text) is None or "start=" in text


@given(st.integers(0, 60))
def test_half_a_record_never_tells_of_an_end_that_was_not(length):
    whole = "v=1\nstart=1000 host=n1 node=n1 job=4 pid=7\nstatus=3 at=1060\n"
    record = parse(whole[:length])
    assert record is None or record.status is None or length > whole.index("status=3")


def test_each_way_to_end_is_told_apart_where_the_scheduler_only_forgets():
    def how(record, **facts):
        found = verdict(Ended(GONE, record, walltime=600.0, **facts))
        return found.state, found.message.partition(":")[0], found.exit_code

    ended = ExitRecord(0, host="n1", status=0, end=50)
    failed = ExitRecord(0, host="n1", status=3, end=50)
    in_time = ExitRecord(0, host="n1", signal=15, signal_at=50)
    too_late = ExitRecord(0, host="n1", signal=15, signal_at=598)
    no_end = ExitRecord(0, host="n1")
    assert how(ended) == (JobState.COMPLETED, "COMPLETED", 0)
    assert how(failed) == (JobState.FAILED, "FAILED", 3)
    assert how(in_time) == (JobState.CANCELLED, "CANCELLED", 143)
    assert how(too_late) == (JobState.TIMEOUT, "TIMEOUT", 143)
    assert how(no_end, seconds=90) == (JobState.FAILED, "NODE_FAIL", None)
    assert how(no_end, seconds=610) == (JobState.TIMEOUT, "TIMEOUT", None)
    assert how(None) == (JobState.FAILED, "FAILED", None)
    assert how(None, member_writes=False) == (JobState.COMPLETED, "", None)
    assert how(failed, cancelled=True) == (JobState.CANCELLED, "CANCELLED", 3)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.TIMEOUT, JobState.CANCELLED])
def test_the_schedulers_own_word_holds_and_the_record_adds_to_it(state):
    found = verdict(Ended(state, ExitRecord(0, host="n1", status=9, end=50)))
    assert found.state == state
    assert found.message == f"{state.name}: its script ended with exit code 9 after 50 s on n1"


def test_a_failed_block_that_the_scheduler_forgot_says_what_its_script_said(tmp_path):
    world = World(tmp_path, names=("oak",))
    job = world.submit()
    oak = world.schedulers["oak"]
    oak.run()
    world.look(job)
    errors = tmp_path / "stderr"
    errors.write_text("line 3: process_worker_pool.py: command not found\n")
    world.pool._job(job).last.stderr_path = str(errors)
    world.write(job, "status=127 at=NOW", since=2)
    oak.listed.clear()
    assert world.look(job) == [JobState.FAILED]
    assert "process_worker_pool.py: command not found" in world.status(job).message
    assert world.pool.why(job) == world.status(job).message
    assert oak.resources["1"]["status"].state == JobState.FAILED  # so it is asked after no more


def test_output_that_is_no_text_is_left_out(tmp_path):
    world = World(tmp_path, names=("oak",))
    job = world.submit()
    world.schedulers["oak"].run()
    world.look(job)
    (tmp_path / "stderr").write_bytes(b"\xff\xfe\x00")
    world.pool._job(job).last.stderr_path = str(tmp_path / "stderr")
    world.write(job, "status=1 at=NOW")
    assert world.look(job) == [JobState.FAILED]


def test_every_block_gets_a_script_that_writes_a_record_of_its_own(tmp_path):
    world = World(tmp_path)
    jobs = [world.submit() for _ in range(4)]
    bases = {str(world.pool._job(job).base) for job in jobs}
    assert len(bases) == 4
    scripts = [text for each in world.schedulers.values() for text in each.scripts]
    assert all(any(f"{base}.exit" in text for text in scripts) for base in bases)
    assert all(each.worker_init == "" for each in world.schedulers.values())  # the provider is as it was
