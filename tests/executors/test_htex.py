"""The hardened executor, without processes: what it sends, takes back, and ends."""

from __future__ import annotations

import pytest
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import WorkerLost
from parsl.providers import LocalProvider
from parsl.serialize import pack_apply_message, serialize

from parsl_diaspora.events import TryDeclined
from parsl_diaspora.executors import ResilientHighThroughputExecutor
from parsl_diaspora.executors.errors import InterchangeLost
from parsl_diaspora.executors.launch import MAX_DECLINES, RUNNER, launching, read_launch
from parsl_diaspora.fabric.memory import MemoryFabric
from parsl_diaspora.monitoring.runner import run
from parsl_diaspora.monitoring.worker import place
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live
from parsl_diaspora.testing.clock import VirtualClock
from tests.executors.fakes import FakeQueue, launch, lost, message, stock_answer


def double(number):
    return 2 * number


class Link:
    """The run that the executor is part of."""

    def __init__(self):
        self.settings = Settings()
        self.clock = VirtualClock()
        self.reports = []

    def begin(self, run_id):
        raise AssertionError("no run begins here")

    def returned(self, told, report):
        self.reports.append((told, report))


class Outgoing:
    def __init__(self):
        self.sent = []

    def put(self, item):
        self.sent.append(item)


class Interchange:
    """A process that can be dead."""

    returncode = None

    def poll(self):
        return self.returncode


class Pool:
    def __init__(self):
        self.executor = ResilientHighThroughputExecutor(
            label="alder", address="127.0.0.1", provider=LocalProvider()
        )
        self.fabric = MemoryFabric()
        self.executor.link = self.link = Link()
        self.executor._live = Live(self.fabric, "r", "submit")
        self.executor.run_id = "r"
        self.executor.outgoing_q = self.outgoing = Outgoing()
        self.incoming = FakeQueue()
        self.executor.incoming_q = self.incoming
        self.executor.interchange_proc = Interchange()

    def submit(self, number=21, told=None):
        launching.launch = told
        return self.executor.submit(double, {}, number)

    def arrive(self, *messages):
        self.incoming.waiting += messages
        for _ in messages:
            self.executor.incoming_q.get(timeout_ms=1)

    def work(self, manager, monkeypatch):
        """Let a worker of that manager do what was sent last."""
        monkeypatch.setenv("PARSL_WORKER_POOL_ID", manager)
        place.forget()
        sent = self.outgoing.sent[-1]
        (header,) = sent["context"]["task_executor"]["a"]
        self.arrive(message(sent["task_id"], result=serialize(run(sent["buffer"], header))))

    def until_sent_again(self):
        """Seconds until a try that was handed back is sent again."""
        began, sent = self.link.clock.monotonic(), len(self.outgoing.sent)
        while self.link.clock.pending() and len(self.outgoing.sent) == sent:
            self.link.clock.advance(0.1)
        return self.link.clock.monotonic() - began

    def declines(self):
        return [e for e in self.fabric.consumer("test").poll() if isinstance(e, TryDeclined)]


@pytest.fixture
def pool():
    yield Pool()
    launching.launch = None


def test_an_announced_try_is_sent_to_our_runner_with_what_it_must_know(pool, monkeypatch):
    future = pool.submit(told=launch(task=7, try_id=2))
    context = pool.outgoing.sent[0]["context"]
    assert context["task_executor"]["f"] == RUNNER
    (header,) = context["task_executor"]["a"]
    assert (read_launch(header).task, read_launch(header).try_id) == (7, 2)
    pool.work("m1", monkeypatch)
    assert future.result(timeout=0) == 42
    ((told, report),) = pool.link.reports
    assert (told.task, report.manager) == (7, "m1")


def test_an_announcement_is_for_one_submission_only(pool):
    pool.submit(told=launch())
    pool.executor.submit(double, {}, 1)
    assert "task_executor" not in pool.outgoing.sent[1]["context"]


def test_a_try_that_nobody_announced_is_sent_as_stock_does(pool):
    future = pool.submit()
    assert "task_executor" not in pool.outgoing.sent[0]["context"]
    pool.arrive(stock_answer(42, task_id=pool.outgoing.sent[0]["task_id"]))
    assert future.result(timeout=0) == 42


def test_a_payload_with_a_runner_of_its_own_is_sent_as_it_is(pool):
    launching.launch = launch()
    own = {"task_executor": {"f": "their.module.run", "a": ()}}
    pool.executor.submit_payload(own, pack_apply_message(double, (1,), {}))
    assert pool.outgoing.sent[0]["context"]["task_executor"]["f"] == "their.module.run"


def test_workers_that_lack_this_package_are_sent_tasks_as_stock_does(pool):
    pool.executor.use_plain_workers()
    pool.submit(told=launch())
    assert "task_executor" not in pool.outgoing.sent[0]["context"]


def test_numbers_are_never_used_twice(pool):
    for told in (launch(), None, launch(), None):
        pool.submit(told=told)
    numbers = [sent["task_id"] for sent in pool.outgoing.sent]
    assert len(set(numbers)) == 4
    assert pool.executor.outstanding() == 4


def test_a_resource_specification_travels_along(pool):
    launching.launch = launch()
    pool.executor.submit(double, {"priority": 3}, 1)
    assert pool.outgoing.sent[0]["context"]["resource_spec"] == {"priority": 3}


@pytest.mark.parametrize("plain", [True, False])
def test_when_tasks_are_sent_as_stock_does_it_is_remembered_that_their_starts_are_not_heard_of(pool, plain):
    if plain:
        pool.executor.use_plain_workers()
    pool.submit(told=launch())
    assert bool(pool.executor.unsaid) is plain


# --- handing back ---


def test_a_try_that_should_avoid_a_manager_is_handed_back_there_and_run_elsewhere(pool, monkeypatch):
    future = pool.submit(told=launch(avoid=("m1",)))
    pool.work("m1", monkeypatch)
    assert not future.done()
    assert [(event.manager, event.count) for event in pool.declines()] == [("m1", 1)]
    assert len(pool.outgoing.sent) == 1
    pool.link.clock.advance(1)
    assert len(pool.outgoing.sent) == 2
    assert future.parsl_executor_task_id == pool.outgoing.sent[1]["task_id"]
    pool.work("m2", monkeypatch)
    assert future.result(timeout=0) == 42


def test_when_only_the_avoided_place_is_left_it_runs_there_after_all(pool, monkeypatch):
    future = pool.submit(told=launch(avoid=("m1",)))
    pauses = []
    while not future.done():
        pool.work("m1", monkeypatch)
        pauses.append(pool.until_sent_again())
    assert future.result(timeout=0) == 42
    assert len(pool.declines()) == MAX_DECLINES
    assert pauses[:-1] == sorted(pauses[:-1])
    assert sum(pauses) < 30


def test_a_try_that_waits_to_be_sent_again_fails_with_its_executor(pool, monkeypatch):
    future = pool.submit(told=launch(avoid=("m1",)))
    pool.work("m1", monkeypatch)
    pool.executor.set_bad_state_and_fail_all(InterchangeLost("gone"))
    pool.link.clock.advance(60)
    assert isinstance(future.exception(timeout=0), InterchangeLost | BadStateException)


def test_a_try_that_was_given_up_meanwhile_is_not_sent_again(pool, monkeypatch):
    future = pool.submit(told=launch(avoid=("m1",)))
    pool.work("m1", monkeypatch)
    future.set_exception(WorkerLost(1, "n1"))
    pool.link.clock.advance(60)
    assert len(pool.outgoing.sent) == 1


# --- losses ---


def test_workers_that_cannot_publish_are_remembered(pool, monkeypatch):
    pool.submit(told=launch(url=""))
    pool.work("m1", monkeypatch)
    assert "cannot be reached" in pool.executor.unsaid


def test_all_tasks_end_when_the_executor_is_given_up_even_if_one_has_ended_already(pool):
    futures = [pool.submit(told=told) for told in (launch(), None, launch())]
    futures[0].set_exception(WorkerLost(1, "n1"))
    pool.executor.set_bad_state_and_fail_all(RuntimeError("no block can start"))
    assert isinstance(futures[0].exception(timeout=0), WorkerLost)
    for future in futures[1:]:
        assert isinstance(future.exception(timeout=0), BadStateException)
        assert "no block can start" in str(future.exception(timeout=0))
    assert pool.executor.outstanding() == 0


@pytest.mark.parametrize("told", [launch(), None], ids=["ours", "stock"])
def test_a_given_up_executor_refuses_tasks_with_the_reason(pool, told):
    pool.executor.set_bad_state_and_fail_all(InterchangeLost("It is gone."))
    with pytest.raises(InterchangeLost, match="gone"):
        pool.submit(told=told)


def test_a_task_that_was_being_sent_while_the_executor_was_given_up_ends_too(pool):
    class Context(dict):
        def __setitem__(self, key, value):  # the last moment before the task is registered
            pool.executor.set_bad_state_and_fail_all(InterchangeLost("gone"))
            super().__setitem__(key, value)

    launching.launch = launch()
    future = pool.executor.submit_payload(Context(), pack_apply_message(double, (1,), {}))
    assert isinstance(future.exception(timeout=0), BadStateException)


def test_a_dead_interchange_is_asked_nothing_where_stock_would_wait_for_ever(pool):
    pool.executor.interchange_proc.returncode = -9
    assert pool.executor.connected_managers() == []
    assert pool.executor.connected_blocks() == []


def test_a_lost_worker_is_an_ordinary_failure(pool):
    future = pool.submit(told=launch())
    pool.arrive(lost(WorkerLost(0, "n1"), pool.outgoing.sent[0]["task_id"]))
    assert isinstance(future.exception(timeout=0), WorkerLost)


def test_a_block_is_ended_through_its_provider(pool, monkeypatch):
    cancelled = []
    monkeypatch.setattr(pool.executor.provider, "cancel", cancelled.append)
    pool.executor.blocks_to_job_id["3"] = "job-3"
    pool.executor.end_block("3")
    pool.executor.end_block("no such block")
    assert cancelled == [["job-3"]]


def test_on_its_own_it_takes_the_arguments_of_the_stock_executor_and_has_no_run():
    alone = ResilientHighThroughputExecutor(label="x", address="127.0.0.1", heartbeat_period=7)
    assert alone.heartbeat_period == 7
    assert alone.link is None
