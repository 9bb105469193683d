"""A cancelled task ends at once and for good, wherever it is. Threads stand in for workers here."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path

import parsl
import pytest
from parsl import Config, ThreadPoolExecutor, join_app, python_app
from parsl.dataflow.errors import DependencyError
from parsl.dataflow.states import States

from parsl_diaspora import TaskCancelled, cancel, open_fabric, resilient
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import DecisionMade, RunEnded, TaskCancelAsked, TaskEnded, TryFailed, TryStopped
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.cancelling.cancel import Cancelled
from parsl_diaspora.monitoring.run_key import KEY_FILE, RunKey
from parsl_diaspora.state import read_events

LIMIT = 1.0  # seconds in which a future must end


@python_app(executors=["threads"])
def hold(started, gate):
    started.set()
    assert gate.wait(30)
    return "held"


@python_app(executors=["threads"])
def add_one(number):
    return number + 1


@python_app(executors=["threads"], cache=True)
def remembered(number):
    return number + 1


@python_app(executors=["threads"])
def fail():
    raise MemoryError


@join_app
def join_on(futures):
    return futures


@join_app
def slow_join(started, gate, made):
    started.set()
    assert gate.wait(30)
    made.append(add_one(Future()))
    return made


class Program:
    def __init__(self, directory):
        self.url = f"file:{directory / 'log'}"
        self.directory = directory
        self.gate, self.started = threading.Event(), threading.Event()

    def __enter__(self):
        stock = Config(
            executors=[ThreadPoolExecutor(label="threads", max_threads=1)],
            run_dir=str(self.directory / "runinfo"),
            retries=1,
        )
        self.kernel = parsl.load(resilient(stock, fabric=self.url, retry_delay=60.0, retry_delay_max=60.0))
        return self

    def __exit__(self, *_):
        self.gate.set()
        self.kernel.cleanup()
        parsl.clear()

    def occupy(self):
        """Keep the only thread busy until the gate opens; the future."""
        future = hold(self.started, self.gate)
        assert self.started.wait(10)
        return future

    def said(self, *kinds):
        if (live := self.kernel.memoizer.session.live) is not None:
            live.flush()
        return [event for event in read_events(open_fabric(self.url)) if isinstance(event, kinds)]

    def states(self):
        return {state: number for state, number in self.kernel.task_state_counts.items() if number}


@pytest.fixture
def program(tmp_path):
    with Program(tmp_path) as made:
        yield made


def assert_cancelled(future, reason=""):
    """The future ends soon, with our exception; how long that took."""
    began = time.monotonic()
    error = future.exception(timeout=10)
    assert isinstance(error, TaskCancelled)
    assert (error.task, error.reason) == (future.tid, reason)
    assert time.monotonic() - began < LIMIT


# --- before it is launched ---


def test_a_task_that_waits_for_another_is_withdrawn_and_the_other_goes_on(program):
    other = program.occupy()
    waiting = add_one(other)
    child = add_one(waiting)
    assert cancel(waiting, "changed my mind") is Cancelled.WITHDRAWN
    assert_cancelled(waiting, "changed my mind")
    error = child.exception(timeout=10)
    assert isinstance(error, DependencyError)
    assert isinstance(error.__cause__, TaskCancelled)
    assert not other.done()
    program.gate.set()
    assert other.result(timeout=60) == "held"


def test_the_dependency_that_comes_later_does_not_launch_it(program):
    dependency = Future()
    waiting = add_one(dependency)
    assert cancel(waiting) is Cancelled.WITHDRAWN
    dependency.set_result(1)
    assert add_one(1).result(timeout=60) == 2
    assert program.states() == {States.failed: 1, States.exec_done: 1}


def test_a_task_that_waits_for_its_next_try_is_withdrawn(program):
    failing = fail()
    deadline = time.monotonic() + 10
    while failing.task_record["try_id"] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert failing.task_record["status"] == States.pending  # for a minute
    assert cancel(failing, "enough") is Cancelled.WITHDRAWN
    assert_cancelled(failing, "enough")
    assert [event.action for event in program.said(DecisionMade)] == ["retry", "cancel"]


# --- at its executor ---


def test_a_task_in_a_queue_of_threads_never_runs(program):
    program.occupy()
    ran = threading.Event()
    queued = hold(ran, program.gate)
    while queued.task_record["exec_fu"] is None:
        time.sleep(0.01)
    assert cancel(queued) is Cancelled.QUEUED
    assert_cancelled(queued)
    program.gate.set()
    assert add_one(1).result(timeout=60) == 2
    assert not ran.is_set()


def test_a_thread_cannot_be_stopped_and_serves_on_when_it_is_free(program):
    running = program.occupy()
    assert cancel(running, "too slow") is Cancelled.LEFT_RUNNING
    assert_cancelled(running, "too slow")
    after = add_one(1)
    time.sleep(0.1)
    assert not after.done()
    program.gate.set()
    assert after.result(timeout=60) == 2
    (decision,) = program.said(DecisionMade)
    assert "stays busy" in decision.reason
    assert program.states() == {States.failed: 1, States.exec_done: 1}


def test_the_late_end_of_what_could_not_be_stopped_is_told(program):
    running = program.occupy()
    cancel(running)
    program.gate.set()
    deadline = time.monotonic() + 10
    while not (told := program.said(TryStopped)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [(event.task, event.how) for event in told] == [(running.tid, "end")]


# --- join apps ---


def test_the_inner_tasks_of_a_join_app_are_cancelled_with_it(program):
    inner = [add_one(Future()), add_one(Future())]
    outer = join_on(inner)
    while outer.task_record["status"] != States.joining:
        time.sleep(0.01)
    assert cancel(outer, "all of it") is Cancelled.WITHDRAWN
    assert_cancelled(outer, "all of it")
    for each in inner:
        assert isinstance(each.exception(timeout=10), TaskCancelled)
        assert each.exception().reason == f"part of task {outer.tid}, which was cancelled: all of it"


def test_what_the_body_of_a_cancelled_join_app_starts_later_is_cancelled_too(program):
    made = []
    outer = slow_join(program.started, program.gate, made)
    assert program.started.wait(10)
    assert cancel(outer) is Cancelled.LEFT_RUNNING
    assert_cancelled(outer)
    program.gate.set()
    deadline = time.monotonic() + 10
    while not made and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(made[0].exception(timeout=10), TaskCancelled)


# --- what has ended, and what is no task ---


def test_a_task_that_has_ended_is_left_as_it_is(program):
    future = add_one(1)
    assert future.result(timeout=60) == 2
    assert cancel(future) is Cancelled.FINISHED
    assert not cancel(future)
    assert future.result() == 2
    assert program.said(TaskCancelAsked, DecisionMade) == []


def test_a_second_cancel_finds_nothing_to_do(program):
    waiting = add_one(Future())
    assert cancel(waiting, "first")
    assert not cancel(waiting, "second")
    assert waiting.exception().reason == "first"
    assert len(program.said(TaskCancelAsked)) == 1


def test_only_futures_of_a_resilient_program_can_be_cancelled(program, tmp_path):
    with pytest.raises(ConfigurationError, match="takes a Parsl future, not a Future"):
        cancel(Future())
    kernel = parsl.DataFlowKernel(Config(executors=[ThreadPoolExecutor()], run_dir=str(tmp_path / "stock")))
    try:
        future = python_app(lambda: 1, data_flow_kernel=kernel)()
        with pytest.raises(ConfigurationError, match="resilient configuration"):
            cancel(future)
    finally:
        kernel.cleanup()


# --- what else it must not do ---


def test_a_cancelled_call_is_not_remembered_by_the_memoizer(program):
    program.occupy()
    first = remembered(41)
    while first.task_record["exec_fu"] is None:
        time.sleep(0.01)
    cancel(first)
    assert_cancelled(first)
    program.gate.set()
    assert remembered(41).result(timeout=60) == 42


def test_tasks_cancelled_from_many_threads_while_they_run_end_once_each(program):
    program.occupy()  # else all may have ended before the first is cancelled
    futures = [add_one(number) for number in range(200)]
    ends = []
    for future in futures:
        future.add_done_callback(ends.append)
    threads = [
        threading.Thread(target=lambda part=futures[n::4]: [cancel(each) for each in part]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    program.gate.set()
    for thread in threads:
        thread.join(30)
    assert not wait_for(futures, timeout=20).not_done
    cancelled = [each for each in futures if isinstance(each.exception(), TaskCancelled)]
    assert all(each.exception() is None for each in futures if each not in cancelled)
    assert len(ends) == 200
    assert add_one(1).result(timeout=60) == 2
    program.kernel.memoizer.session.live.flush()
    outcomes = [event.outcome for event in program.said(TaskEnded)]
    assert len(outcomes) == 202
    assert outcomes.count("cancelled") == len(cancelled) > 0
    assert program.kernel.memoizer.session.live.faults == {}


def test_a_cancel_from_a_callback_of_a_task_ends_its_siblings(program):
    siblings = [add_one(Future()) for _ in range(3)]
    first = add_one(1)
    first.add_done_callback(lambda _: [cancel(each, "one is enough") for each in siblings])
    for each in siblings:
        assert_cancelled(each, "one is enough")


def test_the_log_tells_who_asked_why_and_what_was_done(program):
    waiting = add_one(Future())
    cancel(waiting, "no longer needed")
    (asked,) = program.said(TaskCancelAsked)
    assert (asked.task, asked.owner, asked.reason) == (waiting.tid, "the program", "no longer needed")
    (decision,) = program.said(DecisionMade)
    assert (decision.rule, decision.action) == ("cancelled", "cancel")
    assert decision.reason == "the program asked for it: no longer needed; it had not been launched"
    (ended,) = program.said(TaskEnded)
    assert (ended.outcome, ended.func) == ("cancelled", "add_one")
    assert program.said(TryFailed) == []


def test_cancelled_tasks_are_counted_apart(tmp_path):
    with Program(tmp_path) as program:
        cancel(add_one(Future()))
        add_one(1).result(timeout=60)
    (ended,) = program.said(RunEnded)
    assert (ended.done, ended.failed, ended.cancelled, ended.faults) == (1, 0, 1, {})


# --- asked from outside ---


def key_of(program):
    return RunKey.load(Path(program.kernel.run_dir) / KEY_FILE)


def ask_from_outside(program, future, **more):
    """As the command does: until the program, which may not listen yet, has heard it."""
    publisher = open_fabric(program.url).publisher("elsewhere", immediate=True)
    for _ in range(50):
        asked = TaskCancelAsked(run=program.kernel.run_id, task=future.tid, **more)
        publisher.publish(key_of(program).sign(asked))
        if wait_for([future], timeout=0.2).done:
            break
    publisher.close()


def test_an_event_on_the_runs_fabric_cancels_a_task(program):
    waiting = add_one(Future())
    assert add_one(1).result(timeout=60) == 2
    ask_from_outside(program, waiting, reason="by mail", owner="ann@desk")
    error = waiting.exception(timeout=10)
    assert (error.reason, error.message) == (
        "by mail",
        f"Task {waiting.tid} (add_one) was cancelled by ann@desk: by mail.",
    )


def test_an_event_about_a_task_that_is_not_there_changes_nothing(program):
    assert add_one(1).result(timeout=60) == 2
    live = program.kernel.memoizer.session.live
    publisher = open_fabric(program.url).publisher("elsewhere", immediate=True)
    for task in (0, 17, None):
        asked = TaskCancelAsked(run=program.kernel.run_id, task=task, owner="ann")
        publisher.publish(key_of(program).sign(asked))
    publisher.close()
    waiting = add_one(Future())
    ask_from_outside(program, waiting, owner="ann")
    assert_cancelled(waiting)
    assert live.faults == {}


def test_a_task_between_two_tries_has_not_ended(program):
    waiting = add_one(Future())
    waiting.task_record["status"] = States.fail_retryable
    assert kernel.stage_of(waiting.task_record) == "moving"
    waiting.task_record["status"] = States.pending
    assert cancel(waiting) is Cancelled.WITHDRAWN
