"""Whatever arrives, the executor goes on: each future ends once, and what belongs to nobody is dropped."""

from __future__ import annotations

import pickle
import sys
import threading
import types
from concurrent.futures import Future

import parsl.app.python  # noqa: F401 - makes tblib pickle the exceptions that exist by then; those below do not
import pytest
from parsl.app.errors import RemoteExceptionWrapper
from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch, WorkerLost
from parsl.serialize import serialize

from parsl_diaspora.errors import ExceptionUnreadable, ResultUnreadable
from parsl_diaspora.executors.errors import RunnerUnusable
from parsl_diaspora.executors.gate import ResultGate, complete
from parsl_diaspora.executors.launch import Report, pack, seal
from parsl_diaspora.executors.mixin import TryFuture
from tests.executors.fakes import FakeQueue, answer, launch, lost, message, stock_answer


class Unbuildable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Exits:
    def __reduce__(self):
        return sys.exit, (3,)


class Counted:
    def __reduce__(self):
        return exec, ("raise LookupError('no such table')",)


def double(number):
    return 2 * number


def divide():
    return 1 / 0


def raise_unbuildable():
    raise Unbuildable(1, 2)


def raise_exiting():
    raise ValueError(Exits())


def generator():
    return (number for number in range(3))


def exits():
    return Exits()


class Arrivals:
    """A gate with one future that waits, and what came of it."""

    def __init__(self, *messages, future=None, lists=False, on_report=None):
        self.future = future or try_future()
        self.tasks = {1: self.future}
        self.reports = []
        self.queue = FakeQueue(*messages, lists=lists)
        self.gate = ResultGate(self.queue, self.tasks, on_report or self._note)
        self.passed = [self.gate.get(timeout_ms=10) for _ in range(len(messages) + 1)]

    def _note(self, future, report):
        assert not future.done()
        self.reports.append(report)
        return False

    @property
    def error(self):
        return self.future.exception(timeout=0)


def try_future():
    future = TryFuture(1)
    future.launch = launch()
    return future


def test_a_result_ends_its_future_and_the_report_is_noted_before():
    arrivals = Arrivals(answer(double, 21))
    assert arrivals.future.result(timeout=0) == 42
    assert [report.failure for report in arrivals.reports] == [None]
    assert arrivals.tasks == {}
    assert arrivals.passed == [None, None]


def test_a_result_of_a_task_that_was_sent_as_stock_does_is_taken_as_it_is():
    assert Arrivals(stock_answer([1, 2])).future.result(timeout=0) == [1, 2]


def test_messages_in_lists_are_taken_one_by_one_as_older_releases_of_parsl_deliver_them():
    other = try_future()
    arrivals = Arrivals(lists=True)
    arrivals.tasks[2] = other
    control = message(-1, exception=serialize(VersionMismatch("a", "b")))
    arrivals.queue.waiting = [answer(double, 21), b"garbage", control, answer(double, 4, task_id=2)]
    assert arrivals.gate.get(timeout_ms=10) == [control]
    assert arrivals.future.result(timeout=0) == 42
    assert other.result(timeout=0) == 8
    assert arrivals.gate.get(timeout_ms=10) is None


def test_an_exception_of_the_app_arrives_as_it_was_with_the_evidence_in_the_report():
    arrivals = Arrivals(answer(divide))
    assert type(arrivals.error) is ZeroDivisionError
    assert arrivals.reports[0].failure.frame.startswith("test_gate.py:divide:")


@pytest.mark.parametrize("error", [WorkerLost(3, "n1"), ManagerLost(b"m1", "n1")])
def test_losses_arrive_as_they_are(error):
    arrivals = Arrivals(lost(error))
    assert type(arrivals.error) is type(error)
    assert arrivals.error.hostname == "n1"


def test_the_interchanges_own_messages_pass_through_untouched():
    control = message(-1, exception=serialize(VersionMismatch("a", "b")))
    arrivals = Arrivals(control)
    assert arrivals.passed == [control, None]
    assert not arrivals.future.done()


def test_bytes_of_an_app_that_look_like_our_envelope_are_the_apps_when_the_task_went_as_stock():
    odd = seal(b"report", b"result")
    assert Arrivals(stock_answer(odd), future=Future()).future.result(timeout=0) == odd


# --- what cannot be rebuilt ---


def test_a_result_of_a_class_that_only_the_worker_has_is_an_ordinary_failure():
    module = types.ModuleType("only_on_the_worker")
    exec("class Mesh:\n    pass", module.__dict__)
    sys.modules["only_on_the_worker"] = module
    try:
        message = answer(module.Mesh)
    finally:
        del sys.modules["only_on_the_worker"]
    arrivals = Arrivals(message)
    assert isinstance(arrivals.error, ResultUnreadable)
    assert "only_on_the_worker" in str(arrivals.error)
    assert "manager=" in arrivals.error.place


def test_an_exception_that_cannot_be_rebuilt_is_told_in_words_with_its_class_and_traceback():
    error = Arrivals(answer(raise_unbuildable)).error
    assert isinstance(error, ExceptionUnreadable)
    assert error.chain[0] == f"{__name__}.Unbuildable"
    assert "1 and 2" in str(error)
    assert "raise_unbuildable" in error.traceback
    assert "super().__init__" in error.hint


def test_a_result_that_cannot_be_sent_is_the_apps_own_failure_with_the_evidence_that_says_so():
    arrivals = Arrivals(answer(generator))
    assert isinstance(arrivals.error, TypeError)
    assert arrivals.reports[0].failure.phase == "pack"


@pytest.mark.parametrize("function", [exits, Counted], ids=["exits the program", "raises"])
def test_a_result_that_misbehaves_while_it_is_rebuilt_ends_its_own_future_only(function):
    assert isinstance(Arrivals(answer(function)).error, ResultUnreadable)


def test_an_exception_that_exits_the_program_while_it_is_rebuilt_ends_its_own_future_only():
    assert isinstance(Arrivals(answer(raise_exiting)).error, ExceptionUnreadable)


def test_a_stock_result_that_cannot_be_rebuilt_ends_its_future():
    assert isinstance(Arrivals(stock_answer(Exits())).error, ResultUnreadable)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"nonsense\nmore", Unbuildable(1, 2), 7], ids=repr)
def test_an_exception_message_that_makes_no_sense_ends_its_future(payload):
    payload = payload if isinstance(payload, bytes) else serialize(payload)
    assert isinstance(Arrivals(message(1, exception=payload)).error, ExceptionUnreadable)


def test_a_message_with_neither_result_nor_exception_ends_its_future():
    assert isinstance(Arrivals(message(1)).error, ResultUnreadable)


@pytest.mark.parametrize("header", [b"", b"\xc1", pack(["from", "another", "release"]), pack({"block": 1})])
def test_a_report_of_another_release_does_not_cost_the_result(header):
    arrivals = Arrivals(message(1, result=serialize(seal(header, serialize(42)))))
    assert arrivals.future.result(timeout=0) == 42


def test_a_report_of_another_release_does_not_cost_the_exception():
    wrapper = RemoteExceptionWrapper(KeyError, KeyError("seed"), None)
    arrivals = Arrivals(message(1, result=serialize(seal(b"\xc1", serialize(wrapper)))))
    assert isinstance(arrivals.error, KeyError)


def test_a_fault_of_ours_in_taking_note_does_not_cost_the_result():
    def broken(future, report):
        raise RuntimeError("ours")

    assert Arrivals(answer(double, 21), on_report=broken).future.result(timeout=0) == 42


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'parsl_diaspora'", name="parsl_diaspora"),
        ModuleNotFoundError("No module named 'msgspec'", name="msgspec"),
        ImportError("cannot import name 'run'"),
        AttributeError("module has no attribute 'run'"),
    ],
)
def test_a_worker_that_cannot_run_our_part_is_told_apart_from_an_app_that_fails(error):
    found = Arrivals(lost(error)).error
    assert isinstance(found, RunnerUnusable)
    assert found.__cause__ is not None


def test_a_task_that_was_sent_as_stock_does_keeps_its_import_error():
    assert type(Arrivals(lost(ImportError("x")), future=Future()).error) is ImportError


# --- what belongs to nobody ---


def test_a_result_that_comes_after_the_end_is_dropped():
    future = try_future()
    future.set_exception(WorkerLost(1, "n1"))
    arrivals = Arrivals(answer(double, 21), future=future)
    assert isinstance(arrivals.error, WorkerLost)
    assert arrivals.gate.dropped == 1
    assert arrivals.reports == []


def test_a_result_that_comes_after_a_cancel_is_dropped(caplog):
    future = try_future()
    assert future.cancel()
    assert Arrivals(answer(double, 21), future=future).gate.dropped == 1
    assert not caplog.records  # it is nothing that anybody need look at


def test_a_second_result_of_the_same_task_is_dropped():
    arrivals = Arrivals(answer(double, 1), answer(double, 2))
    assert arrivals.future.result(timeout=0) == 2
    assert arrivals.gate.dropped == 1


@pytest.mark.parametrize(
    "raw",
    [
        stock_answer(1, task_id=99),
        stock_answer(1, task_id="another run's"),
        b"",
        b"no pickle",
        pickle.dumps(None),
        pickle.dumps({"type": "result"}),
        pickle.dumps({"task_id": [], "type": "result"}),
        pickle.dumps(Exits),
    ],
)
def test_what_belongs_to_no_task_is_dropped_and_the_next_result_is_taken(raw):
    arrivals = Arrivals(raw, answer(double, 21))
    assert arrivals.future.result(timeout=0) == 42
    assert arrivals.gate.dropped == 1


def test_drops_are_said_once(caplog):
    arrivals = Arrivals(*[b"garbage"] * 5)
    assert arrivals.gate.dropped == 5
    assert len(caplog.records) == 1


def test_a_try_that_was_handed_back_stays_open():
    told = launch(avoid=("",))  # outside a worker the manager's name is empty
    arrivals = Arrivals(answer(double, 21, told=told), on_report=lambda future, report: report.declined)
    assert not arrivals.future.done()


def test_the_rest_of_parsls_queue_is_still_there():
    arrivals = Arrivals()
    assert arrivals.gate.port == 54_321
    arrivals.gate.close()
    assert arrivals.queue.closed


# --- ends ---


@pytest.mark.parametrize("second", [(2, None), (None, ValueError())])
def test_a_future_has_one_end_and_a_second_is_absorbed(second):
    future = Future()
    complete(future, 1, None)
    complete(future, *second)
    assert future.result(timeout=0) == 1


def test_of_many_threads_that_end_a_future_one_wins_and_none_fails():
    future: Future = Future()
    barrier, failed = threading.Barrier(8), []

    def end(number):
        barrier.wait()
        try:
            complete(future, number, None)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert future.result(timeout=0) in range(8)
    assert not failed


def test_the_report_survives_its_journey():
    report = Report(block="0", manager="m1", worker=3, node="n1", pid=9, seconds=1.5)
    noted = []
    gate = ResultGate(
        FakeQueue(message(1, result=serialize(seal(pack(report), serialize(1))))),
        {1: try_future()},
        lambda future, seen: noted.append(seen) or False,
    )
    gate.get()
    assert noted == [report]
