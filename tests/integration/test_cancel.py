"""Cancelled tasks of real pools: their futures end at once, and what ran is gone soon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid

import psutil
import pytest
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD

from parsl_diaspora import TaskCancelled, cancel
from parsl_diaspora.events import DecisionMade, RunEnded, TaskEnded, TryFailed, TryStopped
from parsl_diaspora.monitoring.cancel import Cancelled
from tests.integration.cancel_apps import deaf_loop, hold_the_interpreter, loop, quick, shell_with_children

AIM = 1.0  # seconds in which a future, and what runs for it, is to end
BOUND = 8.0  # what a machine that is busy with other tests may take


def begun(path):
    deadline = time.monotonic() + 60
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


def stopped(program):
    return [(event.task, event.how) for event in program.events() if isinstance(event, TryStopped)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("app", "how"),
    [(loop, "signal"), (hold_the_interpreter, "kill"), (deaf_loop, "kill")],
    ids=["Python", "C", "deaf"],
)
def test_a_running_task_is_stopped_and_its_worker_is_free(program, tmp_path, app, how):
    program.load(program.pool("alder", workers=1))
    future = app(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    heard_of(program, future)
    since = time.monotonic()
    assert cancel(future, "wrong input") is Cancelled.STOPPING
    tell("its future ended", ended_in(future, "wrong input"))
    tell("its worker was free", free_in(since))
    assert stopped(program) == [(future.tid, how)]
    events = program.events()
    assert [event.outcome for event in events if isinstance(event, TaskEnded)] == ["cancelled", "done"]
    assert not [event for event in events if isinstance(event, TryFailed)]
    (ended,) = [event for event in events if isinstance(event, RunEnded)]
    assert (ended.done, ended.failed, ended.cancelled, ended.faults) == (1, 0, 1, {})


@pytest.mark.timeout(120)
def test_the_programs_of_a_shell_are_gone_with_it(program, tmp_path):
    program.load(program.pool("alder", workers=1))
    mark = uuid.uuid4().hex
    future = shell_with_children(str(tmp_path / "begun"), mark)
    begun(tmp_path / "begun")
    heard_of(program, future)
    assert len(marked(mark)) == 2
    since = time.monotonic()
    cancel(future)
    tell("its future ended", ended_in(future))
    while marked(mark):
        assert time.monotonic() - since < BOUND, marked(mark)
        time.sleep(0.02)
    tell("its programs were gone", time.monotonic() - since)
    tell("its worker was free", free_in(since))


def marked(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CANCEL_MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(120)
def test_a_queued_task_ends_at_once_and_is_stopped_when_a_worker_begins_it_all_the_same(program, tmp_path):
    program.load(program.pool("alder", workers=1, prefetch_capacity=1))
    first = loop(str(tmp_path / "first"), 3.0)
    begun(tmp_path / "first")
    queued = loop(str(tmp_path / "queued"))
    heard_of(program, first)
    assert cancel(queued, "not needed") in (Cancelled.QUEUED, Cancelled.WITHDRAWN)
    tell("its future ended", ended_in(queued, "not needed"))
    assert first.result(timeout=30) == "ran to its end"
    since = time.monotonic()
    tell("the worker was free", free_in(since))
    assert stopped(program) in ([(queued.tid, "signal")], [])


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


@pytest.mark.timeout(120)
def test_the_command_cancels_a_task_of_a_running_program(program, tmp_path):
    program.load(program.pool("alder", workers=1))
    future = loop(str(tmp_path / "begun"))
    begun(tmp_path / "begun")
    heard_of(program, future)
    command = [sys.executable, "-m", "parsl_diaspora.cli.main", "cancel", "last", str(future.tid)]
    command += ["--fabric", program.url, "--reason", "by hand"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Task {future.tid} was cancelled: ")
    assert "by hand; its worker is told to stop it" in done.stdout
    ended_in(future, "by hand")
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    story = subprocess.run(
        [*command[:3], "explain", "last", str(future.tid), "--fabric", program.url, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    cancelled = json.loads(story.stdout)["cancel"]
    assert (cancelled["owner"].endswith(f"@{os.uname().nodename}"), cancelled["reason"]) == (True, "by hand")
