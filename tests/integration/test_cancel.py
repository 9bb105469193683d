"""Cancelled tasks of real pools: their futures end at once, and what ran is gone soon."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import psutil
import pytest
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from parsl_diaspora import TaskCancelled, cancel, open_fabric
from parsl_diaspora.cli.explain import story_of
from parsl_diaspora.cli.find import find_run
from parsl_diaspora.events import DecisionMade, RunEnded, TaskEnded, TryFailed, TryStopped
from parsl_diaspora.monitoring.cancelling.cancel import Cancelled
from tests.integration.cancel_apps import hold_the_interpreter, loop, quick, shell_with_children

AIM = 1.0  # seconds in which a future, and what runs for it, is to end
BOUND = 8.0  # what a machine that is busy with other tests may take


def begun(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, "the task did not begin"
        time.sleep(0.02)


def ended_in(future, reason=""):
    """Seconds until the future has ended with our exception."""
    since = time.monotonic()
    error = future.exception(timeout=30)
    assert isinstance(error, TaskCancelled), repr(error)
    assert error.reason == reason
    return time.monotonic() - since


def free_in(since):
    """Seconds until the only worker runs something else."""
    assert quick(1).result(timeout=60) == 2
    return time.monotonic() - since


def heard_of(program, future):
    """Wait until the run knows where the task runs, and that its pool has a supervisor."""
    session = program.kernel.memoizer.session
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        last = session.live.picture.last_try(future.tid)
        if last is not None and last.status == "running" and session.cancels.can_stop(last.manager):
            return
        time.sleep(0.02)
    raise AssertionError("no supervisor was heard of")


def tell(what, seconds):
    print(f"{what}: {seconds:.2f} s (aim: {AIM:g} s)")
    assert seconds < BOUND


def gone_in(pid):
    """Seconds until a process is gone."""
    since = time.monotonic()
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() - since < 30
        time.sleep(0.01)
    return time.monotonic() - since


def pid_of(program, future):
    return program.kernel.memoizer.session.live.picture.last_try(future.tid).pid


@pytest.mark.timeout(300)
def test_what_gives_way_is_stopped_and_its_worker_goes_on(program, tmp_path):
    program.load(program.pool("alder", workers=1), stall_after=100.0)

    future = loop(str(tmp_path / "loop"))
    begun(tmp_path / "loop")
    heard_of(program, future)
    worker, since = pid_of(program, future), time.monotonic()
    assert cancel(future, "wrong input") is Cancelled.STOPPING
    tell("Python: its future ended", ended_in(future, "wrong input"))
    tell("Python: its worker was free", free_in(since))

    mark = uuid.uuid4().hex
    shell = shell_with_children(str(tmp_path / "shell"), mark)
    begun(tmp_path / "shell")
    heard_of(program, shell)
    assert len(marked(mark)) == 2
    since = time.monotonic()
    assert cancel(shell) is Cancelled.STOPPING
    tell("shell: its future ended", ended_in(shell))
    while marked(mark):
        assert time.monotonic() - since < BOUND, marked(mark)
        time.sleep(0.02)
    tell("shell: its programs were gone", time.monotonic() - since)
    tell("shell: its worker was free", free_in(since))

    first = loop(str(tmp_path / "first"), 2.0)
    begun(tmp_path / "first")
    queued = loop(str(tmp_path / "queued"))
    while queued.task_record["exec_fu"] is None:
        time.sleep(0.01)
    assert cancel(queued, "not needed") is Cancelled.QUEUED
    tell("queued: its future ended", ended_in(queued, "not needed"))
    assert first.result(timeout=30) == "ran to its end"
    tell("queued: the worker was free", free_in(time.monotonic()))

    assert {pid_of(program, each) for each in (shell, first)} == {worker}
    events = program.events()
    stops = [(event.task, event.how) for event in events if isinstance(event, TryStopped)]
    assert stops == [(each.tid, "signal") for each in (future, shell, queued)]
    assert not [event for event in events if isinstance(event, TryFailed)]
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.done, ended.failed, ended.cancelled, ended.faults) == (4, 0, 3, {})


@pytest.mark.timeout(300)
def test_what_holds_the_interpreter_is_ended_with_its_worker_by_the_command(program, tmp_path):
    program.load(program.pool("alder", workers=1), stall_after=100.0)
    future = hold_the_interpreter(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    heard_of(program, future)
    worker = pid_of(program, future)
    command = [sys.executable, "-m", "parsl_diaspora.cli.main", "cancel", "last", str(future.tid)]
    command += ["--fabric", program.url, "--reason", "by hand"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    error = future.exception(timeout=60)
    tell("C: its worker was gone", gone_in(worker))
    assert (type(error), error.reason) == (TaskCancelled, "by hand")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"Task {future.tid} was cancelled: ")
    assert "by hand; its worker is told to stop it" in out
    assert quick(1).result(timeout=100) == 2
    story = story_of(find_run([open_fabric(program.url)], "last"), future.tid)
    assert (story.outcome, story.tries[0].stopped) == ("cancelled", "kill")
    assert story.cancel.owner.endswith(f"@{os.uname().nodename}")
    events = program.events()
    assert not [event for event in events if isinstance(event, TryFailed)]
    assert [event.outcome for event in events if isinstance(event, TaskEnded)] == ["cancelled", "done"]


def marked(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CANCEL_MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_without_a_supervisor_the_future_ends_and_the_worker_is_said_to_be_busy(program, tmp_path):
    executor = program.pool("alder", workers=1, launch_cmd=f"exec {DEFAULT_LAUNCH_CMD}")
    program.load(executor)
    future = loop(str(tmp_path / "begun"), 4.0)
    begun(tmp_path / "begun")
    time.sleep(0.5)
    since = time.monotonic()
    assert cancel(future) is Cancelled.LEFT_RUNNING
    tell("its future ended", ended_in(future))
    assert free_in(since) > 1.0
    events = program.events()
    (decision,) = [event for event in events if isinstance(event, DecisionMade)]
    assert "its worker stays busy" in decision.reason
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.cancelled, ended.faults) == (1, {})
