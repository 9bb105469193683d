"""A try that was asked to stop gives way, with all that it has started; no other try does."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import threading
import time

import pytest

from parsl_diaspora.errors import TaskStopped
from parsl_diaspora.executors.supervision.board import STOP_SIGNAL
from tests.monitoring.worker.stage import run_try


def stubborn(seconds):
    """A task as people write it: it keeps whatever goes wrong."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except Exception as error:
            print("never mind", error)
    return "done"


def asleep(seconds):
    time.sleep(seconds)
    return "done"


def tidy(path, seconds):
    try:
        time.sleep(seconds)
    finally:
        with open(path, "w") as file:
            file.write("tidied")


def with_child(path, seconds):
    child = subprocess.Popen(["sleep", "60"])
    with open(path, "w") as file:
        file.write(str(child.pid))
    time.sleep(seconds)


def stop_soon(board, task, try_id, after=0.15):
    """What a supervisor does: mark the try, and send the signal."""

    def stop():
        board.slot(3).ask_stop(task, try_id)
        os.kill(os.getpid(), STOP_SIGNAL)

    timer = threading.Timer(after, stop)
    timer.start()
    return timer


@pytest.mark.parametrize("function", [stubborn, asleep])
@pytest.mark.parametrize("parsl", [False, True], ids=["as it is", "as an app"])
def test_a_try_that_must_stop_ends_at_once_whatever_it_catches(board, function, parsl):
    stop_soon(board, 7, 1)
    begun = time.monotonic()
    report, body = run_try(function, 10, parsl=parsl)
    assert time.monotonic() - begun < 5
    assert report.failure.type == "parsl_diaspora.errors.TaskStopped"
    assert isinstance(body.get_exception(), TaskStopped)
    assert not board.slot(3).read().busy


def test_a_task_that_is_stopped_may_tidy_up(board, tmp_path):
    stop_soon(board, 7, 1)
    run_try(tidy, str(tmp_path / "note"), 10)
    assert (tmp_path / "note").read_text() == "tidied"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_it_has_started_ends_with_it(board, tmp_path):
    stop_soon(board, 7, 1, after=0.5)
    run_try(with_child, str(tmp_path / "pid"), 10)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    gc.collect()


@pytest.mark.parametrize(("task", "try_id"), [(7, 0), (8, 1)])
def test_a_signal_for_another_try_stops_nothing(board, task, try_id):
    timer = stop_soon(board, task, try_id, after=0.05)
    report, body = run_try(asleep, 0.3)
    assert (report.failure, body) == (None, "done")
    timer.join()


def test_a_signal_that_comes_after_the_end_stops_nothing(board):
    run_try(asleep, 0)
    board.slot(3).ask_stop(7, 1)
    os.kill(os.getpid(), STOP_SIGNAL)
    assert run_try(asleep, 0, task=8)[1] == "done"


def test_without_a_board_the_signal_is_left_alone(worker):
    del worker
    before = signal.getsignal(STOP_SIGNAL)
    assert run_try(asleep, 0)[1] == "done"
    assert signal.getsignal(STOP_SIGNAL) == before


def test_the_board_tells_what_runs(board):
    seen = []
    timer = threading.Timer(0.1, lambda: seen.append(board.slot(3).read()))
    timer.start()
    run_try(asleep, 0.4)
    timer.join()
    (work,) = seen
    assert (work.pid, work.task, work.try_id, work.busy) == (os.getpid(), 7, 1, True)
    assert not board.slot(3).read().busy
