"""Tasks are held and released in real programs, from within and by the command in another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import parsl
import pytest
from parsl import Config, ThreadPoolExecutor, python_app
from parsl.dataflow.errors import DependencyError

from parsl_diaspora import cancel, hold, open_fabric, release, resilient
from parsl_diaspora.errors import ConfigurationError, TaskCancelled, TaskHeldTooLong
from parsl_diaspora.events import RunEnded, TaskEnded, TaskHeld, TaskReleased
from parsl_diaspora.monitoring.run_key import KEY_FILE, RunKey
from parsl_diaspora.state import read_events
from tests.waiting import becomes

COMMAND = str(Path(sys.executable).parent / "parsl-diaspora")


@python_app(executors=["alder"])
def add_one(number):
    return number + 1


@python_app(executors=["alder"])
def fail_until(seen, times):
    seen.append(threading.current_thread().name)
    if len(seen) <= times:
        raise MemoryError("not enough")
    return len(seen)


@python_app(executors=["alder"])
def block(started, gate):
    started.set()
    assert gate.wait(30)
    raise ValueError("after a while")


class Program:
    """A real program over threads; the next try of what failed is an hour away unless the test says else."""

    def __init__(self, directory, **settings):
        self.directory = directory
        self.url = f"file:{directory / 'log'}"
        self.settings = {"retry_delay": 3600.0, "retry_delay_max": 3600.0, "move": "none", **settings}

    def __enter__(self):
        pools = [ThreadPoolExecutor(label=label, max_threads=2) for label in ("alder", "birch")]
        stock = Config(executors=pools, run_dir=str(self.directory / "runinfo"), retries=1)
        self.kernel = parsl.load(resilient(stock, fabric=self.url, **self.settings))
        self.session = self.kernel.memoizer.session
        self.session.begin(self.kernel.run_id)
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if not self.kernel.cleanup_called:
            self.kernel.cleanup()
        parsl.clear()

    @property
    def key(self):
        return RunKey.load(Path(self.kernel.run_dir) / KEY_FILE)

    def said(self, *kinds):
        if self.session.live is not None and not self.kernel.cleanup_called:
            self.session.live.flush()
        return [event for event in read_events(open_fabric(self.url)) if isinstance(event, kinds)]

    def call(self, *arguments, key=True):
        """The command, in a process of its own."""
        named = ["--key", str(Path(self.kernel.run_dir) / KEY_FILE)] if key else []
        done = subprocess.run(
            [COMMAND, *map(str, arguments), "--fabric", self.url, *named],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.directory,
            env={**os.environ, "COLUMNS": "250"},
        )
        return done.returncode, done.stdout.strip(), done.stderr.strip()

    def failed_once(self, times=1):
        """A task that has failed and waits for its next try."""
        seen = []
        future = fail_until(seen, times)
        assert becomes(lambda: self.session.parked.entry_of(future.tid) is not None)
        return future, seen


@pytest.fixture
def program(tmp_path):
    with Program(tmp_path) as made:
        yield made


# --- from within ---


def test_a_task_that_waits_for_another_is_held_and_its_dependents_wait_with_it(program):
    given = Future()
    first = add_one(given)
    second = add_one(first)
    hold(future=first, reason="the input is being checked")
    given.set_result(1)
    time.sleep(0.3)
    assert not first.done()
    assert not second.done()
    (event,) = program.said(TaskHeld)
    assert (event.task, event.number, event.owner) == (first.tid, 1, "the program")
    assert event.reason == "somebody asked for it: the input is being checked"
    release(task=first.tid)
    assert second.result(timeout=60) == 3


def test_a_task_that_waits_for_its_next_try_is_held_and_released(program):
    future, seen = program.failed_once()
    hold(future=future)
    release(future=future)
    assert future.result(timeout=60) == 2
    assert len(seen) == 2


def test_a_task_that_only_waits_for_its_next_try_is_released_at_once(program):
    future, _ = program.failed_once()
    release(future=future)
    assert future.result(timeout=60) == 2
    assert [event.how for event in program.said(TaskReleased)] == ["release"]


def test_a_released_task_runs_where_it_is_sent(program):
    future, seen = program.failed_once()
    hold(future=future)
    release(future=future, executor="birch")
    assert future.result(timeout=60) == 2
    assert "birch" in seen[1]


def test_a_first_try_goes_where_it_is_sent_whatever_routing_knows(tmp_path):
    with Program(tmp_path, move="any") as program:
        program.session.routing.first = lambda live, task: task.update(executor="alder")
        given, seen = Future(), []
        future = fail_until(given, 0)
        hold(future=future)
        given.set_result(seen)
        release(future=future, executor="birch")
        assert future.result(timeout=60) == 1
        assert "birch" in seen[0]


def test_a_running_task_is_held_when_its_try_fails(program):
    started, gate = threading.Event(), threading.Event()
    future = block(started, gate)
    assert started.wait(10)
    hold(future=future, reason="I want to look at it")
    gate.set()
    assert becomes(lambda: len(program.session.live.picture.held) == 1)
    assert not future.done()
    assert cancel(future)
    assert isinstance(future.exception(timeout=5), TaskCancelled)
    assert len(program.session.live.picture.held) == 0
    assert list(program.session.parked) == []


def test_what_cannot_be_held_or_released_is_refused_with_the_reason(program):
    ended = add_one(1)
    ended.result(timeout=60)
    with pytest.raises(ConfigurationError, match=f"task {ended.tid} has ended"):
        hold(future=ended)
    waiting = add_one(Future())
    with pytest.raises(ConfigurationError, match="is not held"):
        release(future=waiting)
    hold(future=waiting)
    with pytest.raises(ConfigurationError, match="is held already"):
        hold(future=waiting)
    with pytest.raises(ConfigurationError, match="No executor is called 'oak'"):
        release(future=waiting, executor="oak")
    for names in ({"node": "n1", "task": 3}, {"future": waiting, "task": 3}):
        with pytest.raises(ConfigurationError, match="only one of them"):
            hold(**names)


# --- by a policy ---


def policy(do, **when):
    return {"rules": [{"name": "own", "when": {"class": "memory", **when}, "do": do, "reason": "too large"}]}


def test_a_rule_holds_a_task_until_another_shell_sends_it_where_there_is_room(tmp_path):
    hold_it = policy({"hold": {"number": 101, "suggestion": "send it to birch"}})
    with Program(tmp_path, policy=hold_it) as program:
        future, seen = program.failed_once()
        child = add_one(future)
        (held,) = json.loads(program.call("held", "--json", key=False)[1])
        assert (held["number"], held["suggestion"], held["owner"]) == (101, "send it to birch", "rule own")
        assert (held["failure_class"], held["func"]) == ("memory", "fail_until")
        assert not child.done()
        assert program.call("release", "last", "--class", "memory", "--executor", "birch")[0] == 0
        assert child.result(timeout=60) == 3
        assert "birch" in seen[1]


def test_a_rule_lets_a_task_wait_for_a_file_and_it_goes_on_when_that_comes(tmp_path):
    wait_for = policy({"wait": {"for": f"file:{tmp_path / 'ready'}", "at_most": 60}})
    with Program(tmp_path, policy=wait_for) as program:
        future, _ = program.failed_once()
        time.sleep(1.2)
        assert not future.done()
        (tmp_path / "ready").touch()
        assert future.result(timeout=60) == 2


def test_a_rule_gives_a_value_in_place_of_a_result_and_dependents_take_it(tmp_path):
    with Program(tmp_path, policy=policy({"substitute": 41})) as program:
        assert add_one(fail_until([], 9)).result(timeout=60) == 42
    (ended,) = program.said(RunEnded)
    assert (ended.done, ended.failed) == (2, 0)
    outcomes = [event.outcome for event in program.said(TaskEnded)]
    assert outcomes == ["substituted", "done"]


# --- ends ---


def test_a_program_that_ends_without_waiting_fails_parked_tasks_with_their_last_errors(tmp_path, caplog):
    with Program(tmp_path) as program:
        failed, _ = program.failed_once()
        delayed, _ = program.failed_once()
        hold(future=failed)
        never = add_one(Future())
        hold(future=never)
        child = add_one(failed)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    for future in (failed, delayed):
        error = future.exception(timeout=0)
        assert isinstance(error, MemoryError)
        if sys.version_info >= (3, 11):
            assert "when the program ended" in error.__notes__[0]
            assert "Run the program again" in error.__notes__[0]
    assert isinstance(never.exception(timeout=0), TaskHeldTooLong)
    assert isinstance(child.exception(timeout=5), DependencyError)
    assert "when the program ended: 3" in caplog.text
    (ended,) = program.said(RunEnded)
    assert ended.failed == 4
    assert ended.faults == {}


def test_a_program_that_waits_for_its_tasks_waits_for_held_ones_until_hold_timeout(tmp_path):
    with Program(tmp_path, hold_timeout=1.0) as program:
        future, _ = program.failed_once()
        hold(future=future)
        began = time.monotonic()
        program.kernel.wait_for_current_tasks()
        assert 0.5 < time.monotonic() - began < 15
        assert isinstance(future.exception(timeout=0), MemoryError)
        assert [event.how for event in program.said(TaskReleased)] == ["fail"]


SCRIPT = """
import sys
from concurrent.futures import Future

import parsl
from parsl import Config, ThreadPoolExecutor, python_app

from parsl_diaspora import hold, resilient


@python_app
def fail():
    raise MemoryError("x")


@python_app
def add_one(number):
    return number + 1


stock = Config(executors=[ThreadPoolExecutor(label="alder")], run_dir="runinfo", retries=1)
kernel = parsl.load(resilient(stock, retry_delay=3600.0, retry_delay_max=3600.0))
fail()
hold(future=add_one(Future()))
print("the end")
"""


def test_a_script_that_ends_without_a_cleanup_is_not_kept_by_its_parked_tasks(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "the end\n"), done.stderr


# --- from another shell ---


def test_the_command_lists_holds_releases_retries_and_fails_tasks(program):
    first, seen = program.failed_once()
    second, _ = program.failed_once()
    third, _ = program.failed_once(9)
    assert program.call("held", key=False) == (0, "No task is held.", "")
    status, words, _ = program.call(
        "hold", "last", "--func", "fail_until", "--reason", "look first", "--owner", "ada"
    )
    assert (status, words) == (0, f"Tasks {first.tid}, {second.tid}, {third.tid} held.")
    status, words, _ = program.call("held", "--json", key=False)
    assert status == 0
    assert [(each["task"], each["number"], each["owner"], each["func"]) for each in json.loads(words)] == [
        (each.tid, 1, "ada", "fail_until") for each in (first, second, third)
    ]
    assert program.call("release", "last", "--task", first.tid, "--executor", "birch")[:2] == (
        0,
        f"Task {first.tid} released.",
    )
    assert first.result(timeout=60) == 2
    assert "birch" in seen[1]
    assert (
        program.call("retry", "last", "--task", second.tid)[1]
        == f"Task {second.tid} released with fresh budgets."
    )
    assert second.result(timeout=60) == 2
    assert (
        program.call("fail", "last", "--class", "memory", "--reason", "hopeless")[1]
        == f"Task {third.tid} failed."
    )
    assert isinstance(third.exception(timeout=10), MemoryError)
    status, words, _ = program.call("release", "last", "--task", third.tid)
    assert (status, words) == (1, f"Task {third.tid} has ended, or there is none.")
