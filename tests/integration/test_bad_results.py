"""Whatever arrives in place of a result, the executor goes on; stock's would take in no more, silently."""

from __future__ import annotations

import os
import pickle

import pytest
import zmq
from parsl import curvezmq
from parsl.addresses import tcp_url
from parsl.serialize import serialize

from parsl_diaspora.errors import ResultUnreadable
from tests.integration import apps
from tests.integration.conftest import Program
from tests.integration.looking import LONG, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One program for all that only arrives and ends nothing."""
    directory = tmp_path_factory.mktemp("shared")
    made = Program(f"test-{os.getpid()}-hang-shared", directory)
    modules = directory / "modules"
    modules.mkdir()
    (modules / "only_at_one_site.py").write_text("class Found:\n    pass\n")
    made.load(
        made.pool("alder", path=(modules,)), retries={"application": 0, "serialization": 0, "unknown": 0}
    )
    made.executor = made.kernel.executors["alder"]
    assert apps.spin(1, 0.0).result(timeout=LONG) == 1
    yield made
    made.close()


def goes_on():
    return [apps.spin(n, 0.0).result(timeout=LONG) for n in (2, 3)] == [4, 9]


@pytest.mark.timeout(2 * LONG)
def test_a_result_of_a_class_that_only_the_workers_know_is_an_ordinary_failure(shared):
    with pytest.raises(ResultUnreadable, match="only_at_one_site"):
        apps.return_stranger().result(timeout=LONG)
    assert goes_on()


@pytest.mark.timeout(2 * LONG)
def test_a_result_that_comes_after_its_future_was_cancelled_is_dropped(shared):
    dropped = shared.executor.gate.dropped
    future = apps.spin(7, 0.5)
    until(lambda: shared.kernel.tasks[future.tid].get("exec_fu") is not None)
    assert shared.kernel.tasks[future.tid]["exec_fu"].cancel()
    assert future.exception(timeout=LONG) is not None
    until(lambda: shared.executor.gate.dropped > dropped)
    assert goes_on()


@pytest.mark.timeout(2 * LONG)
def test_results_that_belong_to_nobody_and_bytes_that_are_none_are_dropped(shared):
    executor, dropped = shared.executor, shared.executor.gate.dropped
    context = curvezmq.ServerContext(executor.cert_dir)  # as the interchange has it
    socket = context.socket(zmq.DEALER)
    socket.connect(tcp_url("127.0.0.1", executor.incoming_q.port))
    for unknown in (10_000, "nonsense"):
        socket.send(pickle.dumps({"type": "result", "task_id": unknown, "result": serialize(1)}))
    socket.send(b"no pickle")
    until(lambda: executor.gate.dropped == dropped + 3)
    assert goes_on()
    context.destroy(linger=0)


@pytest.mark.timeout(2 * LONG)
def test_a_callback_that_exits_does_not_end_the_thread_of_results(shared):
    def leave(future):
        raise SystemExit(3)

    future = apps.spin(5, 0.2)
    future.add_done_callback(leave)
    assert future.result(timeout=LONG) == 25
    assert goes_on()


@pytest.mark.timeout(2 * LONG)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_of_results_that_has_ended_all_the_same_is_started_again(shared, monkeypatch):
    executor = shared.executor
    ended = executor._result_queue_thread

    def end(timeout_ms=None):
        raise SystemExit

    monkeypatch.setattr(executor.gate, "get", end)
    until(lambda: not ended.is_alive())
    monkeypatch.undo()
    assert goes_on()
    assert shared.kernel.executors["alder"]._live.faults["results of alder"] >= 1
