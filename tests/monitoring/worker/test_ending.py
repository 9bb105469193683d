"""However a task ends, the worker lives on and tells what it was."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest
from parsl.app.bash import remote_side_bash_executor
from parsl.app.errors import AppTimeout, BashExitFailure, wrap_error

from parsl_diaspora.errors import TaskExited, TaskInterrupted
from parsl_diaspora.failures import diagnose
from tests.monitoring.worker.stage import run_try

pytestmark = [
    pytest.mark.usefixtures("worker", "collected"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of a child that was ended for its walltime
]


@pytest.fixture
def collected():
    """What a test leaves to the collector is collected in it."""
    yield
    gc.collect()


def leave(code):
    sys.exit(code)


def interrupt():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def raise_it(kind):
    raise kind


class Own(BaseException):
    pass


class Unsent(BaseException):
    def __reduce__(self):
        raise KeyboardInterrupt


def bash(command, **named):
    return wrap_error(partial(remote_side_bash_executor, lambda **_: command))(**named)


def is_running(pid):
    """Whether it is there, and not only as a zombie that nobody has asked for yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def failure_of(function, *arguments):
    report, body = run_try(function, *arguments)
    return report.failure, body.get_exception()


@pytest.mark.parametrize(("code", "expected"), [(3, 3), (None, 0), (0, 0), ("no input", 1)])
def test_an_exit_is_a_failure_with_its_code(code, expected):
    failure, error = failure_of(leave, code)
    assert type(error) is TaskExited
    assert error.exit_code == failure.exit_code == expected
    assert isinstance(error.__cause__, SystemExit)
    assert failure.frame.startswith("test_ending.py:leave:")
    assert diagnose(failure).failure_class == "exited"
    assert "no input" in str(error) or code != "no input"


def test_an_exit_with_something_that_cannot_travel_is_one_all_the_same():
    failure, error = failure_of(leave, sys.stdin)
    assert (type(error), failure.exit_code) == (TaskExited, 1)


@pytest.mark.parametrize(
    "function", [interrupt, partial(raise_it, KeyboardInterrupt)], ids=["signal", "raised"]
)
def test_an_interrupt_is_a_failure_of_its_own_kind(function):
    failure, error = failure_of(function)
    assert (type(error), error.kind) == (TaskInterrupted, "KeyboardInterrupt")
    assert diagnose(failure).failure_class == "interrupted"


@pytest.mark.parametrize("kind", [GeneratorExit, Own, Unsent])
def test_so_is_whatever_else_is_no_exception(kind):
    _, error = failure_of(raise_it, kind)
    assert (type(error), error.kind) == (TaskInterrupted, kind.__name__)


def test_a_child_that_a_task_forks_reports_nothing_in_its_place(tmp_path):
    def fork(path):
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with open(path, "w") as file:
            file.write("was here")
        sys.exit(5)

    report, result = run_try(fork, str(tmp_path / "note"))
    assert (report.failure, result) == (None, 5)
    assert (tmp_path / "note").exists()


class TestBash:
    def test_over_its_walltime_all_its_processes_are_ended(self, tmp_path):
        note = tmp_path / "pids"
        command = f"sleep 71 & echo $! >> {note}; (sleep 72 & echo $! >> {note}; wait) & sleep 73 | cat"
        begun = time.monotonic()
        failure, error = failure_of(partial(bash, command, walltime=1))
        assert time.monotonic() - begun < 10
        assert type(error) is AppTimeout
        assert diagnose(failure).failure_class == "walltime"
        pids = [int(line) for line in note.read_text().split()]
        assert len(pids) == 2
        assert [pid for pid in pids if is_running(pid)] == []

    def test_what_an_earlier_task_left_running_on_purpose_is_not_touched(self):
        server = subprocess.Popen(["sleep", "60"])
        try:
            time.sleep(0.05)
            failure_of(partial(bash, "sleep 74", walltime=0.2))
            assert server.poll() is None
        finally:
            server.kill()
            server.wait()

    @pytest.mark.parametrize(
        "command", ["kill -9 $$", "bash -c 'kill -9 $$'; exit $?"], ids=["itself", "child"]
    )
    def test_ended_by_a_signal_is_a_class_of_its_own(self, command):
        failure, error = failure_of(partial(bash, command))
        assert type(error) is BashExitFailure
        found = diagnose(failure)
        assert found.failure_class == "signalled"
        assert "SIGKILL" in found.evidence[0]
