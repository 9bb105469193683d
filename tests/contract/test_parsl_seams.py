"""Each place where we rest on something in Parsl that it does not promise, and what breaks when it changes.

A failure here names the seam, the release of Parsl, and what no longer works; nothing else has to be read.
"""

from __future__ import annotations

import ast
import inspect
import math
import os
import pickle
import subprocess
import textwrap
import threading
import time
from concurrent.futures import Future, InvalidStateError
from importlib import import_module
from pathlib import Path

import parsl
import pytest
import zmq
from parsl import Config, HighThroughputExecutor, ThreadPoolExecutor, bash_app, python_app
from parsl.app.app import AppBase
from parsl.app.bash import remote_side_bash_executor
from parsl.app.errors import RemoteExceptionWrapper, wrap_error
from parsl.app.python import timeout
from parsl.data_provider.files import File
from parsl.dataflow.dflow import DataFlowKernel
from parsl.dataflow.errors import DependencyError
from parsl.dataflow.memoization import BasicMemoizer, Memoizer
from parsl.dataflow.states import States
from parsl.executors import MPIExecutor
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput import executor as htex
from parsl.executors.high_throughput import interchange, process_worker_pool, zmq_pipes
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD, HTEXFuture
from parsl.executors.high_throughput.manager_selector import ManagerSelector
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.error_handlers import noop_error_handler, simple_error_handler
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus
from parsl.launchers import SimpleLauncher
from parsl.logconfigs.noop import NoopLogging
from parsl.monitoring import MonitoringHub
from parsl.monitoring.message_type import MessageType
from parsl.multiprocessing import SpawnQueue
from parsl.providers import LocalProvider
from parsl.serialize import deserialize, pack_apply_message, serialize, unpack_apply_message

from parsl_diaspora.executors import ResilientHighThroughputExecutor, seams
from parsl_diaspora.executors.agent.pending import Pending
from parsl_diaspora.executors.keeping import commands
from parsl_diaspora.executors.launch import Launch, launching, seal
from parsl_diaspora.executors.plain import PICKLED, is_stock, pack_call, unpack_call
from parsl_diaspora.failures.rules import built_in as failure_rules
from parsl_diaspora.monitoring import kernel as seam_of_kernel
from parsl_diaspora.monitoring.placing.apps import INTERNAL
from parsl_diaspora.monitoring.worker.leaving import BETWEEN_TASKS
from tests.contract import worker_side
from tests.contract.seams import seam

ROOT = Path(__file__).parents[2]
FIRST_PORT = 24_000 + os.getpid() % 40 * 60


def body_of(function):
    """A function's statements without its docstring, as Parsl's source has them."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    statements = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    return [ast.unparse(statement) for statement in statements]


def fresh(**arguments):
    return HighThroughputExecutor(**{"label": "alder", "address": "127.0.0.1", **arguments})


# ---------------------------------------------------------------- submitting to HTEX


@seam("HighThroughputExecutor.submit_payload", "our copy of its body leaves out something that stock does")
def test_submit_payload_does_what_our_copy_of_it_does():
    assert body_of(HighThroughputExecutor.submit_payload) == [
        "if self.bad_state_is_set:\n    raise self.executor_exception",
        "self._task_counter += 1",
        "task_id = self._task_counter",
        "fut = HTEXFuture(task_id)",
        "self.tasks[task_id] = fut",
        "msg = {'task_id': task_id, 'context': context, 'buffer': buffer}",
        "self.outgoing_q.put(msg)",
        "return fut",
    ]


@seam(
    "HighThroughputExecutor.submit", "tries are not sent to our runner, so nothing is known of where they ran"
)
def test_submit_ends_in_submit_payload_in_the_callers_thread():
    seen = []

    class Spy(HighThroughputExecutor):
        def submit_payload(self, context, buffer):
            seen.append((context, unpack_apply_message(buffer), threading.current_thread()))
            return Future()

    Spy(label="spy", address="127.0.0.1").submit(worker_side.double, {"priority": 3}, 21)
    ((context, (function, arguments, named), thread),) = seen
    assert context == {"resource_spec": {"priority": 3}}
    assert (function.__name__, list(arguments), named) == ("double", [21], {})
    assert thread is threading.current_thread()


@seam(
    "HTEXFuture.parsl_executor_task_id", "a try that was handed back cannot be sent again under a new number"
)
def test_an_htex_future_takes_its_number_and_lets_it_be_changed():
    future = HTEXFuture(3)
    assert future.parsl_executor_task_id == 3
    future.parsl_executor_task_id = 4
    assert isinstance(future, Future)


@seam(
    "HighThroughputExecutor._task_counter and .tasks",
    "two tries get the same number, or results find no future",
)
def test_counter_and_futures_are_where_we_count():
    executor = fresh()
    assert executor._task_counter == 0
    assert executor.tasks == {}
    executor.tasks[1] = Future()
    assert executor.outstanding() == 1


@seam("RepresentationMixin and constructor arguments of HTEX", "resilient() loses arguments of the executor")
def test_each_argument_of_htex_is_an_attribute_of_that_name():
    names = [name for name in inspect.signature(HighThroughputExecutor.__init__).parameters if name != "self"]
    assert [name for name in names if not hasattr(fresh(), name)] == []


@seam("HighThroughputExecutor.max_workers_per_node", "an upgraded executor is refused by Parsl's type check")
def test_no_limit_of_workers_is_stored_as_infinity():
    assert fresh().max_workers_per_node == math.inf


@seam("constructor arguments of Config", "resilient() loses settings of the configuration")
def test_each_argument_of_config_is_an_attribute_of_that_name():
    names = [name for name in inspect.signature(Config.__init__).parameters if name != "self"]
    assert [name for name in names if not hasattr(Config(), name)] == []


@seam("HighThroughputExecutor.launch_cmd", "blocks do not start, or what they leave behind is not found")
def test_the_launch_command_can_be_put_after_an_assignment_of_the_environment():
    assert "{block_id}" in DEFAULT_LAUNCH_CMD
    executor = fresh(launch_cmd=f"env X=1 {DEFAULT_LAUNCH_CMD}")
    executor.worker_port, executor.logconf_path = 1, None
    executor.initialize_scaling()
    assert executor._get_launch_command("7").startswith("env X=1 process_worker_pool.py ")
    assert "--block_id=7" in executor._get_launch_command("7")


# ---------------------------------------------------------------- results of HTEX


@seam("HighThroughputExecutor.start assigning incoming_q", "the gate is not put before the result thread")
def test_the_queue_of_results_is_an_attribute_that_start_assigns_before_the_thread():
    lines = inspect.getsource(HighThroughputExecutor.start)
    assert 0 < lines.index("self.incoming_q = ") < lines.index("self._start_result_queue_thread()")
    assert "incoming_q" not in vars(HighThroughputExecutor)


@seam("HighThroughputExecutor.start making its three pipes", "an interchange that dies cannot be replaced")
def test_start_makes_the_three_pipes_as_we_do_for_a_new_interchange():
    body = "\n".join(body_of(HighThroughputExecutor.start))
    where = "self.loopback_address, self.interchange_port_range, self.cert_dir"
    for name, kind in PIPES.items():
        assert f"self.{name} = zmq_pipes.{kind}({where})" in body
    order = ["self._start_local_interchange_process()", "self.initialize_scaling()"]
    assert 0 < body.index(order[0]) < body.index(order[1])


PIPES = {"outgoing_q": "TasksOutgoing", "incoming_q": "ResultsIncoming", "command_client": "CommandClient"}


@seam("HighThroughputExecutor._start_local_interchange_process", "a new interchange does not find its pipes")
def test_an_interchange_is_started_with_the_ports_of_the_pipes_and_tells_its_own():
    text = inspect.getsource(HighThroughputExecutor._start_local_interchange_process)
    for name in PIPES:
        assert f"self.{name}.port" in text
    assert "assert self.interchange_proc is None" in text
    assert '"worker_port": self.worker_port' in text
    assert "self.worker_port = self.command_client.run(" in text


@seam("HighThroughputExecutor.initialize_scaling", "new blocks look for the interchange that is gone")
def test_the_launch_command_is_formatted_again_for_another_port():
    executor = fresh()
    form, executor.logconf_path = executor.launch_cmd, None
    for port in (11_111, 22_222):
        executor.launch_cmd, executor.worker_port = form, port
        executor.initialize_scaling()
        assert f"--port={port} " in executor._get_launch_command("0")


@seam("CommandClient.zmq_socket", "commands to the interchange have no time-outs")
def test_a_command_client_asks_through_a_socket_that_may_ask_again_without_an_answer():
    client = zmq_pipes.CommandClient("127.0.0.1", (FIRST_PORT, FIRST_PORT + 20))
    try:
        assert client.zmq_socket.socket_type == zmq.REQ
        client.zmq_socket.setsockopt(zmq.REQ_RELAXED, 1)
        client.zmq_socket.setsockopt(zmq.REQ_CORRELATE, 1)
        assert FIRST_PORT <= client.port < FIRST_PORT + 20
    finally:
        client.close()
    text = inspect.getsource(zmq_pipes.CommandClient.run)
    assert "send_pyobj(message" in text
    assert "recv_pyobj()" in text
    assert list(inspect.signature(zmq_pipes.CommandClient.run).parameters) == [
        "self",
        "message",
        "max_retries",
        "timeout_s",
    ]


@seam("the interchange's command WORKER_BINDS", "an interchange that lives is taken for a frozen one")
def test_the_cheapest_command_is_answered():
    text = inspect.getsource(interchange.Interchange.process_command)
    assert f'elif command_req == "{commands._CHEAPEST}":\n                reply = self.worker_port' in text
    assert "self.command_channel.send_pyobj(reply)" in text


@seam("TasksOutgoing.zmq_socket", "a submission waits for an interchange that is gone")
def test_tasks_are_sent_as_pickled_objects_through_a_dealer():
    queue = zmq_pipes.TasksOutgoing("127.0.0.1", (FIRST_PORT, FIRST_PORT + 20))
    try:
        assert queue.zmq_socket.socket_type == zmq.DEALER
        with pytest.raises(zmq.Again):
            queue.zmq_socket.send_pyobj({}, zmq.NOBLOCK)
    finally:
        queue.close()
    assert "self.zmq_socket.send_pyobj(message)" in body_of(zmq_pipes.TasksOutgoing.put)


@seam("the three pipes being closed by shutdown", "the program does not end when its interchange is gone")
def test_shutdown_closes_what_we_put_in_front_of_the_pipes():
    text = inspect.getsource(HighThroughputExecutor.shutdown)
    assert "self.outgoing_q.close()" in text
    assert "self.command_client.close()" in text


@seam("BlockProviderExecutor._status and _simulated_status", "blocks ended on purpose look like failed ones")
def test_a_status_that_was_simulated_goes_over_that_of_the_provider(monkeypatch):
    provider = LocalProvider()
    executor = fresh(provider=provider)
    executor.blocks_to_job_id["0"] = "job-0"
    monkeypatch.setattr(provider, "status", lambda jobs: [JobStatus(JobState.CANCELLED)] * len(jobs))
    executor._simulated_status["0"] = JobStatus(JobState.SCALED_IN, "on purpose")
    status = BlockProviderExecutor.status(executor)
    assert (status["0"].state, status["0"].message) == (JobState.SCALED_IN, "on purpose")
    executor._status = status
    assert executor.status_facade is status


@seam("HighThroughputExecutor.scale_in", "a program whose interchange is silent leaves its blocks behind")
def test_giving_blocks_back_asks_through_the_methods_that_always_answer():
    text = inspect.getsource(HighThroughputExecutor.scale_in)
    assert "self.connected_managers()" in text
    assert "self._hold_block(block_id)" in text
    hold = inspect.getsource(HighThroughputExecutor._hold_block)
    assert "self.connected_managers()" in hold
    assert "self._hold_manager(" in hold


@seam("HighThroughputExecutor._start_result_queue_thread", "a dead thread of results is not started again")
def test_the_thread_of_results_can_be_started_when_there_is_none(monkeypatch):
    executor = fresh()
    monkeypatch.setattr(executor, "_result_queue_worker", lambda: None)
    for _ in range(2):
        executor._result_queue_thread = None
        executor._start_result_queue_thread()
        assert isinstance(executor._result_queue_thread, threading.Thread)
        executor._result_queue_thread.join(5)


@pytest.mark.parametrize("each", seams.SEAMS, ids=lambda each: each.name)
def test_each_seam_that_is_looked_for_at_the_start_is_there(each):
    message = f"Parsl {parsl.__version__} has changed {each.name}. What breaks: {each.without}."
    assert each.is_there(), message


# ---------------------------------------------------------------- the MPI executor


@seam("constructor arguments of MPIExecutor", "resilient() loses arguments of the executor")
def test_each_argument_of_the_mpi_executor_is_an_attribute_of_that_name():
    executor = MPIExecutor(address="127.0.0.1", provider=LocalProvider(launcher=SimpleLauncher()))
    names = [name for name in inspect.signature(MPIExecutor.__init__).parameters if name != "self"]
    assert [name for name in names if not hasattr(executor, name)] == []
    assert executor.interchange_launch_cmd == htex.DEFAULT_INTERCHANGE_LAUNCH_CMD


@seam("_init_mpi_env in process_worker_pool.worker", "multi-node tasks do not find their nodes and launcher")
def test_a_worker_sets_the_environment_of_a_multi_node_task_before_it_calls_our_runner():
    text = inspect.getsource(process_worker_pool.worker)
    assert text.index("_init_mpi_env(") < text.index('ctxt.get("task_executor", None)')


class Waiting:
    """A queue with these messages, in the form in which this release of Parsl hands them over."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.asked = []
        self.closed = False

    def get(self, timeout_ms=None):
        self.asked.append(timeout_ms)
        if not self.messages:
            return None
        raw = self.messages.pop(0)
        return [raw] if "for serialized_msg in msgs" in RESULT_LOOP else raw

    def close(self):
        self.closed = True


RESULT_LOOP = inspect.getsource(HighThroughputExecutor._result_queue_worker)


def control():
    return pickle.dumps(
        {"type": "result", "task_id": -1, "exception": serialize(RuntimeError("versions differ"))}
    )


@seam(
    "HighThroughputExecutor._result_queue_worker",
    "results or the interchange's own messages are not taken in",
)
def test_the_result_loop_takes_what_the_gate_lets_through():
    executor = ResilientHighThroughputExecutor(label="alder", address="127.0.0.1")
    futures = {number: HTEXFuture(number) for number in (1, 2)}
    executor.tasks.update(futures)
    result = pickle.dumps({"type": "result", "task_id": 1, "result": serialize(42)})
    queue = Waiting(result, b"garbage", control())
    executor.incoming_q = queue
    thread = threading.Thread(target=executor._result_queue_worker)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert futures[1].result(timeout=0) == 42
    assert isinstance(futures[2].exception(timeout=0), BadStateException)
    assert executor.bad_state_is_set
    assert "versions differ" in str(executor.executor_exception)
    assert queue.closed
    assert set(queue.asked) == {executor.poll_period}


@seam("HighThroughputExecutor._result_queue_thread_exit", "a dead interchange is not told from a shutdown")
def test_a_shutdown_is_announced_before_the_interchange_ends():
    assert isinstance(fresh()._result_queue_thread_exit, threading.Event)
    lines = inspect.getsource(HighThroughputExecutor.shutdown)
    assert lines.index("_result_queue_thread_exit.set()") < lines.index("interchange_proc.terminate()")


@seam("HighThroughputExecutor.interchange_proc", "a dead interchange is not noticed")
def test_the_interchange_is_a_process_of_ours():
    assert fresh().interchange_proc is None
    assert "self.interchange_proc = subprocess.Popen(" in inspect.getsource(htex)


@seam("parsl.serialize", "what travels between submit side and workers cannot be read")
def test_function_and_arguments_are_packed_and_unpacked_in_that_order():
    assert unpack_apply_message(pack_apply_message(worker_side.double, (1,), {"x": 2})) == [
        worker_side.double,
        (1,),
        {"x": 2},
    ]
    envelope = (b"mark", b"header", b"body")
    assert deserialize(serialize(envelope)) == envelope


@seam("DillSerializer", "results of plain data cannot be read, or every result is read the slow way")
def test_what_parsl_packs_of_plain_data_is_its_mark_and_a_pickle():
    assert serialize({"x": 1}).startswith(PICKLED)
    assert deserialize(PICKLED + pickle.dumps({"x": 1})) == {"x": 1}
    sealed = serialize(seal(b"report", b"result"))
    assert pickle.loads(sealed[len(PICKLED) :]) == seal(b"report", b"result")


@seam("parsl.serialize.facade", "calls with plain arguments are packed by dill, in ten times the time")
def test_a_call_that_we_pack_is_read_by_parsl_and_one_that_parsl_packs_by_us():
    call = worker_side.double, (1, "x", [2.5, {3: (b"y", None)}]), {"seed": {4}}
    packed = pack_call(*call)
    assert unpack_apply_message(packed) == list(call)
    assert unpack_call(packed, plain=True) == list(call)
    assert packed == pack_apply_message(*call)
    assert unpack_call(pack_apply_message(*call), plain=True) == list(call)
    assert is_stock()


@seam("HighThroughputExecutor.submit", "calls with plain arguments are sent in another way than stock would")
def test_a_call_that_we_submit_is_handed_on_as_stock_hands_it_on():
    handed = []
    for kind in (HighThroughputExecutor, ResilientHighThroughputExecutor):
        executor = kind(label="htex", address="127.0.0.1")
        executor.submit_payload = lambda *passed: handed.append(passed)
        launching.launch = Launch(run="r", task=1, try_id=0, executor="htex")
        executor.submit(worker_side.double, {"priority": 1}, 4, x="five")
        executor.submit(worker_side.double, {}, 4)
    assert launching.launch.plain
    launching.launch = None
    assert handed[:2] == handed[2:]
    assert handed[0][0] == {"resource_spec": {"priority": 1}}


@seam("RemoteExceptionWrapper", "exceptions of apps are taken for results, or lose their traceback")
def test_an_exception_travels_in_a_wrapper():
    wrapper = wrap_error(worker_side.divide)()
    assert isinstance(wrapper, RemoteExceptionWrapper)
    assert type(wrapper.e_value) is ZeroDivisionError
    assert wrapper.e_value.__traceback__ is not None
    arrived = deserialize(serialize(wrapper)).get_exception()
    assert type(arrived) is ZeroDivisionError
    assert arrived.__traceback__ is not None


# ---------------------------------------------------------------- executors with blocks


@seam(
    "BlockProviderExecutor.set_bad_state_and_fail_all",
    "an executor that is given up leaves tasks without an end",
)
def test_giving_an_executor_up_fails_its_tasks_and_keeps_the_reason():
    executor = fresh()
    future = executor.tasks[1] = Future()
    reason = RuntimeError("no block can start")
    executor.set_bad_state_and_fail_all(reason)
    assert executor.bad_state_is_set
    assert executor.executor_exception is reason
    assert isinstance(future.exception(timeout=0), BadStateException)


@seam("simple_error_handler and noop_error_handler", "a handler that the program chose is replaced by ours")
def test_the_flags_for_the_block_error_handler_become_these_functions():
    assert fresh(block_error_handler=True).block_error_handler is simple_error_handler
    assert fresh().block_error_handler is simple_error_handler
    assert fresh(block_error_handler=False).block_error_handler is noop_error_handler


@seam("JobStatusPoller.poll", "lost blocks are not replaced")
def test_the_block_error_handler_is_called_with_executor_and_all_blocks_at_each_poll():
    seen = []
    executor = fresh(block_error_handler=lambda *arguments: seen.append(arguments))
    executor._status = {"0": JobStatus(JobState.RUNNING)}
    executor.handle_errors(executor.status_facade)
    assert seen == [(executor, {"0": executor._status["0"]})]
    lines = inspect.getsource(JobStatusPoller.poll)
    assert lines.index("executor.poll_facade()") < lines.index(
        "executor.handle_errors(executor.status_facade)"
    )


@seam("simple_error_handler", "an executor whose blocks cannot start is never given up")
def test_the_stock_handler_gives_up_when_all_blocks_have_failed():
    executor = fresh(provider=LocalProvider(init_blocks=2))
    failed = {number: JobStatus(JobState.FAILED, exit_code=7) for number in "01"}
    simple_error_handler(executor, failed)
    assert "EXIT CODE: 7" in str(executor.executor_exception)


@seam("BlockProviderExecutor.scale_out_facade", "a refused block is taken for one that had started")
def test_a_block_that_is_refused_has_failed_and_has_no_job(monkeypatch):
    provider = LocalProvider()
    executor = fresh(provider=provider)
    answers = iter(["job-0", None])
    monkeypatch.setattr(provider, "submit", lambda *arguments: next(answers))
    monkeypatch.setattr(executor, "_get_launch_command", lambda block: "true")
    assert executor.scale_out_facade(2) == ["0"]
    assert {block: status.state for block, status in executor.status_facade.items()} == {
        "0": JobState.PENDING,
        "1": JobState.FAILED,
    }
    assert executor.blocks_to_job_id == {"0": "job-0"}


@seam("HighThroughputExecutor.status", "blocks that never connected are not told from those that did")
def test_an_ended_block_that_never_connected_is_missing(monkeypatch):
    executor = fresh()
    ended = {str(n): JobStatus(JobState.FAILED) for n in range(2)}
    monkeypatch.setattr(BlockProviderExecutor, "status", lambda self: ended)
    monkeypatch.setattr(executor, "connected_blocks", lambda: ["0"])
    assert {block: status.state for block, status in executor.status().items()} == {
        "0": JobState.FAILED,
        "1": JobState.MISSING,
    }


@seam("JobState", "ends of blocks are not recognised")
def test_the_states_in_which_blocks_have_ended():
    assert set(TERMINAL_STATES) == {
        JobState.CANCELLED,
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.TIMEOUT,
        JobState.MISSING,
        JobState.SCALED_IN,
    }


@seam("BlockProviderExecutor.scale_in_facade", "a block that the program gave back is replaced")
def test_a_block_that_is_given_back_is_marked_at_once(monkeypatch):
    executor = fresh()
    executor._status = {"0": JobStatus(JobState.RUNNING)}
    monkeypatch.setattr(executor, "scale_in", lambda *arguments, **more: ["0"])
    executor.scale_in_facade(1)
    assert executor.status_facade["0"].state == JobState.SCALED_IN


@seam(
    "LocalProvider.cancel and the limits of a provider",
    "a stalled block cannot be ended, or none is replaced",
)
def test_a_provider_cancels_a_list_of_jobs_and_has_limits():
    assert list(inspect.signature(LocalProvider.cancel).parameters) == ["self", "job_ids"]
    provider = LocalProvider()
    assert provider.min_blocks <= provider.max_blocks


# ---------------------------------------------------------------- the interchange and the workers


@seam("ManagerSelector", "managers in quarantine go on getting tasks")
def test_a_selector_gets_all_managers_and_those_in_question():
    assert list(inspect.signature(ManagerSelector.sort_managers).parameters) == [
        "self",
        "ready_managers",
        "manager_list",
    ]
    lines = inspect.getsource(interchange.Interchange.process_tasks_to_send)
    assert "self.manager_selector.sort_managers(self._ready_managers, interesting_managers)" in lines


# ---------------------------------------------------------------- the interchange's records of managers


class Sent(list):
    """A socket of the interchange, with what it was given to send."""

    def send(self, data):
        self.append(data)

    def send_multipart(self, parts):
        self.append(parts)


class Asked(ManagerSelector):
    def sort_managers(self, ready_managers, manager_list):
        self.ready, self.interesting = ready_managers, set(manager_list)
        return list(manager_list)


def an_interchange(**managers):
    """A real interchange without its sockets: what it does with its records is its own code."""
    made = interchange.Interchange.__new__(interchange.Interchange)
    made.heartbeat_threshold = 120
    made.results_outgoing, made.manager_sock = Sent(), Sent()
    made.manager_selector = Asked()
    made.pending_task_queue = interchange.SortedList(key=lambda entry: (entry[0], entry[1]))
    made.count = 0
    made._ready_managers = {
        name.encode(): {
            "block_id": "0",
            "hostname": "n1",
            "tasks": [7, 8],
            "worker_count": 2,
            "max_capacity": 2,
            "active": True,
            "draining": False,
            "drain_time": math.inf,
            "last_heartbeat": time.time(),
            "idle_since": None,
            **fields,
        }
        for name, fields in managers.items()
    }
    return made


@seam("Interchange.process_tasks_to_send", "the agent does not get to know the interchange's managers")
def test_the_selector_gets_the_records_themselves():
    made = an_interchange(m1={"tasks": []})
    made.pending_task_queue.add((0, 1, {"task_id": 1}))
    made.process_tasks_to_send({b"m1"}, None)
    assert made.manager_selector.ready is made._ready_managers
    assert made.manager_selector.interesting == {b"m1"}
    assert made._ready_managers[b"m1"]["tasks"] == [1]


@seam("Interchange.process_tasks_to_send", "supervisors of nodes are given tasks, or are asked for ever")
def test_a_manager_without_capacity_is_asked_once_and_gets_nothing():
    made = an_interchange(m1={"tasks": [], "max_capacity": 0})
    made.pending_task_queue.add((0, 1, {"task_id": 1}))
    interesting = {b"m1"}
    made.process_tasks_to_send(interesting, None)
    assert interesting == set()
    assert len(made.pending_task_queue) == 1


@seam("Interchange.expire_bad_managers", "tasks of a manager that is dead come back after minutes")
def test_a_manager_whose_last_heartbeat_is_long_ago_loses_its_tasks_at_once():
    made = an_interchange(m1={"last_heartbeat": 0.0}, m2={})
    made.expire_bad_managers(set(), None)
    assert set(made._ready_managers) == {b"m2"}
    messages = [pickle.loads(each) for each in made.results_outgoing]
    assert [message["task_id"] for message in messages] == [7, 8]
    error = deserialize(messages[0]["exception"]).e_value
    assert (type(error), error.manager_id, error.hostname) == (ManagerLost, b"m1", "n1")


@seam("Interchange.expire_drained_managers", "managers that are drained never leave")
def test_a_draining_manager_is_told_to_leave_when_it_holds_nothing():
    made = an_interchange(m1={"draining": True}, m2={"draining": True, "tasks": []}, m3={"tasks": []})
    made.expire_drained_managers({b"m1", b"m2"}, None)  # before 2026.10 only such as have room for tasks
    assert set(made._ready_managers) == {b"m1", b"m3"}
    ((manager, _),) = made.manager_sock
    assert manager == b"m2"


@seam("Interchange.process_tasks_to_send", "managers that are drained go on getting tasks")
def test_a_draining_manager_gets_no_tasks():
    made = an_interchange(m1={"draining": True, "tasks": []})
    made.pending_task_queue.add((0, 1, {"task_id": 1}))
    made.process_tasks_to_send({b"m1"}, None)
    assert len(made.pending_task_queue) == 1


@seam("Interchange.pending_task_queue", "tasks that wait cannot be taken back, or the interchange ends")
def test_the_interchange_hands_out_what_stands_in_for_its_queue_gives():
    made, pending = an_interchange(m1={"tasks": [], "max_capacity": 3}), Pending()
    for number in (1, 2, 3):
        made.pending_task_queue.add((0, -number, {"task_id": number}))
    made.pending_task_queue = pending.guard(made.pending_task_queue)
    assert pending.withdraw({2}) == {2}
    made.process_tasks_to_send({b"m1"}, None)
    assert made._ready_managers[b"m1"]["tasks"] == [1, 3]
    assert "queue_entry = (-priority, -task_id, msg)" in inspect.getsource(interchange)


@seam("ic in interchange.py", "nodes are heard, and drains obeyed, only from the first task on")
def test_the_interchange_is_a_global_of_its_process():
    (block,) = [each for each in ast.parse(inspect.getsource(interchange)).body if isinstance(each, ast.If)]
    assert "ic = Interchange(**config)" in [ast.unparse(each) for each in block.body]
    assert "self._ready_managers" in inspect.getsource(interchange.Interchange.__init__)


class Tap(MonitoringHub):
    """Parsl's hub without its database."""

    def __init__(self):
        self.workflow_name = self.workflow_version = None
        self.resource_monitoring_enabled = self.monitoring_debug = False
        self.got = []

    def start(self, dfk_run_dir, config_run_dir, log_config):
        self.resource_msgs = SpawnQueue()

    def close(self):
        self.resource_msgs.put(None)
        while (message := self.resource_msgs.get()) is not None:
            self.got.append(message)
        self.resource_msgs.close()
        self.resource_msgs.join_thread()


class Spied:
    """Parsl's own queue of results, with what it hands over kept."""

    def __init__(self, queue):
        self._queue = queue
        self.raw = []

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def get(self, timeout_ms=None):
        raw = self._queue.get(timeout_ms=timeout_ms)
        if raw is not None:
            self.raw.append(raw)
        return raw


class SpiedExecutor(HighThroughputExecutor):
    """Stock, but looked at where we put our parts."""

    @property
    def incoming_q(self):
        return self.spied

    @incoming_q.setter
    def incoming_q(self, queue):
        self.spied = Spied(queue)

    def submit_payload(self, context, buffer):
        context["task_executor"] = {"f": f"{worker_side.__name__}.tell", "a": (b"header",), "k": {"x": 1}}
        return super().submit_payload(context, buffer)


class Pool:
    """What one small real run has shown."""


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    directory = tmp_path_factory.mktemp("pool")
    made = Pool()
    made.selector_file = directory / "selector"
    executor = SpiedExecutor(
        label="alder",
        address="127.0.0.1",
        encrypted=True,
        worker_port_range=(FIRST_PORT, FIRST_PORT + 20),
        interchange_port_range=(FIRST_PORT + 20, FIRST_PORT + 60),
        heartbeat_period=1,
        heartbeat_threshold=8,
        max_workers_per_node=1,
        manager_selector=worker_side.SpySelector(str(made.selector_file)),
        provider=LocalProvider(init_blocks=1, max_blocks=1, worker_init=f"export PYTHONPATH={ROOT}"),
    )
    made.hub = Tap()
    config = Config(
        executors=[executor],
        monitoring=made.hub,
        strategy_period=0.5,
        run_dir=str(directory / "runinfo"),
        initialize_logging=NoopLogging(),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # the interchange unpickles the selector from there
        kernel = DataFlowKernel(config)
    with kernel:
        made.told = kernel.submit(worker_side.double, (21,), "all", False, None, {}).result(timeout=60)
        failed = kernel.submit(worker_side.divide, (), "all", False, None, {})
        made.error = failed.exception(timeout=60)
        made.managers = executor.connected_managers()
        made.connected_blocks = executor.connected_blocks()
        made.interchange_pid = executor.interchange_proc.pid
        made.interchange_alive = executor.interchange_proc.poll() is None
        made.jobs = dict(executor.blocks_to_job_id)
        made.states = {block: status.state for block, status in executor.status_facade.items()}
        made.raw = list(executor.spied.raw)
    return made


@seam("ResultsIncoming.get", "every result is dropped and the program waits for ever")
def test_results_arrive_as_pickled_messages_one_by_one_or_in_lists(pool):
    messages = []
    for raw in pool.raw:
        messages += [pickle.loads(each) for each in (raw if isinstance(raw, list) else [raw])]
    assert [message["type"] for message in messages] == ["result", "result"]
    assert [message["task_id"] for message in messages] == [1, 2]
    assert deserialize(messages[0]["result"])["answer"] == 42
    assert isinstance(deserialize(messages[1]["exception"]), RemoteExceptionWrapper)


@seam(
    "manager_is_alive in process_worker_pool.worker",
    "a worker whose limits a task has lowered for good stays, and its next tasks meet them",
)
def test_between_two_tasks_a_worker_asks_whether_its_manager_is_alive_and_holds_nothing():
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(process_worker_pool.worker))).body
    loops = [each for each in tree.body if isinstance(each, ast.While)]
    assert [ast.unparse(each.test) for each in loops] == ["manager_is_alive()"]
    asked = [ast.unparse(each) for each in loops[0].body]
    sent = next(n for n, each in enumerate(asked) if each.startswith("result_queue.put("))
    ended = next(n for n, each in enumerate(asked) if each.startswith("tasks_in_progress.pop("))
    assert sent < ended
    assert any(each.name == BETWEEN_TASKS for each in tree.body if isinstance(each, ast.FunctionDef))


@seam("process_worker_pool.worker", "a task's sys.exit() ends its worker: it runs in another thread or frame")
def test_a_worker_calls_our_runner_in_its_main_thread():
    code = inspect.getsource(process_worker_pool.worker)
    assert "Thread(" not in code
    assert "exec_func(req['buffer'], *exec_args, **exec_kwargs)" in code


@seam("parsl.app.bash.remote_side_bash_executor", "what a bash app has started outlives its walltime")
def test_a_bash_app_over_its_walltime_raises_app_timeout_in_the_process_that_has_its_child():
    code = inspect.getsource(remote_side_bash_executor)
    assert "subprocess.Popen(" in code
    assert "start_new_session" not in code
    assert "raise pe.AppTimeout(" in code


@seam("context['task_executor'] in process_worker_pool", "our runner is not called on the workers")
def test_a_worker_calls_the_function_that_the_context_names(pool):
    assert pool.told["arguments"] == (b"header",)
    assert pool.told["named"] == {"x": 1}
    assert pool.told["answer"] == 42
    assert isinstance(pool.error, ZeroDivisionError)


@seam("the environment of a worker", "it is not known on which manager, block and worker a try ran")
def test_a_worker_knows_its_manager_block_and_rank(pool):
    environ = pool.told["environ"]
    assert environ["PARSL_WORKER_POOL_ID"] == pool.managers[0]["manager"]
    assert environ["PARSL_WORKER_BLOCK_ID"] == pool.managers[0]["block_id"]
    assert int(environ["PARSL_WORKER_RANK"]) == 0


@seam("HighThroughputExecutor.connected_managers", "managers are not seen to come and go, nor to stall")
def test_managers_are_listed_with_what_we_watch(pool):
    (manager,) = pool.managers
    assert {"manager", "block_id", "worker_count", "tasks", "python_version"} <= set(manager)
    assert (manager["worker_count"], manager["tasks"], manager["block_id"]) == (1, 0, "0")
    assert isinstance(manager["manager"], str)


@seam("status_facade, blocks_to_job_id, connected_blocks", "blocks are not seen, or cannot be ended")
def test_blocks_are_known_with_their_jobs(pool):
    assert set(pool.jobs) == {"0"}
    assert set(pool.states) == {"0"}
    assert pool.connected_blocks == ["0"]


@seam("interchange_proc", "a dead interchange is not noticed")
def test_the_interchange_runs_as_long_as_the_executor(pool):
    assert pool.interchange_alive


@seam("manager_selector pickled into the interchange", "managers in quarantine go on getting tasks")
def test_the_selector_works_in_the_interchange_with_managers_by_their_ids_in_bytes(pool):
    pid, kind, *_ = pool.selector_file.read_text().split()
    assert int(pid) == pool.interchange_pid
    assert kind == "bytes"
    assert "'block_id'" in pool.selector_file.read_text()


@seam("NODE_INFO", "the node of a manager is known only after a try has run there")
def test_the_monitoring_hub_gets_each_manager_with_its_node(pool):
    nodes = [fields for kind, fields in pool.hub.got if kind == MessageType.NODE_INFO]
    assert {"uid", "hostname", "block_id", "worker_count", "python_version"} <= set(nodes[0])
    assert {fields["uid"] for fields in nodes} == {pool.managers[0]["manager"]}


@seam("MonitoringHub.resource_msgs", "the program's own monitoring is not listened to")
def test_the_kernel_and_executors_send_through_the_queue_that_start_has_made(pool):
    kinds = {kind for kind, _ in pool.hub.got}
    assert {MessageType.WORKFLOW_INFO, MessageType.TASK_INFO, MessageType.NODE_INFO} <= kinds


@seam("MonitoringHub.start and close", "the program's own monitoring cannot be started")
def test_a_hub_is_started_with_three_things_and_closed():
    assert list(inspect.signature(MonitoringHub.start).parameters) == [
        "self",
        "dfk_run_dir",
        "config_run_dir",
        "log_config",
    ]
    assert list(inspect.signature(MonitoringHub.close).parameters) == ["self"]


@seam("WorkerLost and ManagerLost", "it is not known which manager was lost, nor where")
def test_losses_tell_where():
    assert WorkerLost(3, "n1").hostname == "n1"
    lost = pickle.loads(pickle.dumps(ManagerLost(b"m1", "n1")))
    assert (lost.manager_id, lost.hostname) == (b"m1", "n1")
    assert "WorkerLost(" in inspect.getsource(process_worker_pool)
    assert "ManagerLost(manager_id, m['hostname'])" in inspect.getsource(interchange)


@seam("the names of Parsl's exceptions", "failures fall into the wrong class")
def test_each_exception_that_a_rule_of_failures_names_is_there():
    named = {name for rule in failure_rules().rules for name in rule.exceptions}
    assert named.issuperset(PARSLS_EXCEPTIONS)
    modules = dict(PARSLS_EXCEPTIONS)
    modules |= {name: name.rpartition(".")[0] for name in named if name.startswith("parsl.")}
    for name, module in modules.items():
        assert issubclass(getattr(import_module(module), name.rpartition(".")[2]), BaseException)


#: Exceptions of Parsl that rules name by their last name alone.
PARSLS_EXCEPTIONS = {
    "AppTimeout": "parsl.app.errors",
    "BadStateException": "parsl.executors.errors",
    "BashExitFailure": "parsl.app.errors",
    "ManagerLost": "parsl.executors.high_throughput.errors",
    "ScaleOutFailed": "parsl.providers.errors",
    "SerializationError": "parsl.serialize.errors",
    "SubmitException": "parsl.providers.errors",
    "TooManyJobFailuresError": "parsl.jobs.errors",
    "WorkerLost": "parsl.executors.high_throughput.errors",
}


# ---------------------------------------------------------------- the kernel


class SpyMemoizer(BasicMemoizer):
    """Writes down what it is asked."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls
        self.route = {}

    def start(self, *, run_dir, config_run_dir):
        self.calls.append(("memoizer starts", run_dir))
        super().start(run_dir=run_dir, config_run_dir=config_run_dir)

    def check_memo(self, task):
        self.calls.append(("check", task["id"], task["try_id"], threading.current_thread()))
        self.record = task
        task["executor"] = self.route.get(task["id"], task["executor"])
        return super().check_memo(task)

    def update_memo_result(self, task, r):
        self.calls.append(("result", task["id"], r, task["app_fu"].done()))
        super().update_memo_result(task, r)

    def update_memo_exception(self, task, e):
        self.calls.append(("exception", task["id"], type(e), task["app_fu"].done()))
        super().update_memo_exception(task, e)

    def close(self):
        self.calls.append(("memoizer closes",))
        super().close()


class SpyThreads(ThreadPoolExecutor):
    """Threads that write down what they are given."""

    def __init__(self, label, calls):
        super().__init__(label=label, max_threads=1)
        self.calls = calls

    def start(self):
        self.calls.append((f"{self.label} starts", self.run_id))
        super().start()

    def submit(self, *arguments, **more):
        self.calls.append(("submit", self.label, threading.current_thread()))
        return super().submit(*arguments, **more)

    def shutdown(self, *arguments, **more):
        self.calls.append((f"{self.label} ends",))
        super().shutdown(*arguments, **more)


class Kernel:
    """A kernel of threads whose hooks write down what happens."""

    def __init__(self, directory, handler=None, retries=0):
        self.calls = []
        self.memoizer = SpyMemoizer(self.calls)
        self.executors = [SpyThreads(label, self.calls) for label in ("alder", "birch")]
        self.kernel = DataFlowKernel(
            Config(
                executors=self.executors,
                memoizer=self.memoizer,
                retries=retries,
                retry_handler=handler,
                run_dir=str(directory),
                initialize_logging=NoopLogging(),
            )
        )

    def submit(self, function, *arguments, executors=("alder",), **named):
        return self.kernel.submit(function, arguments, list(executors), False, None, named)

    def kinds(self):
        return [call[0] for call in self.calls]


@pytest.fixture
def kernel(tmp_path):
    made = []

    def make(**arguments):
        made.append(Kernel(tmp_path, **arguments))
        return made[-1]

    yield make
    for each in made:
        if not each.kernel.cleanup_called:
            each.kernel.cleanup()


@seam("the order in which the kernel starts and ends", "the run has no directory, or is ended too late")
def test_the_memoizer_starts_before_the_executors_and_ends_before_them(kernel):
    made = kernel()
    made.kernel.cleanup()
    kinds = made.kinds()
    assert kinds == [
        "memoizer starts",
        "alder starts",
        "birch starts",
        "memoizer closes",
        "alder ends",
        "birch ends",
    ]
    assert made.calls[1] == ("alder starts", made.kernel.run_id)
    assert made.calls[0] == ("memoizer starts", made.kernel.run_dir)


@seam(
    "Memoizer.check_memo before executor.submit in one thread",
    "executors do not know which try they are given",
)
def test_the_memoizer_is_asked_in_the_thread_that_submits_just_before_it(kernel):
    made = kernel()
    made.submit(worker_side.double, 1).result(timeout=60)
    check, submit = made.calls[3:5]
    assert (check[:3], submit[:2]) == (("check", 0, 0), ("submit", "alder"))
    assert check[3] is submit[2]
    assert launching.launch is None


@seam("the label of the executor being resolved after check_memo", "new tasks go to executors that are gone")
def test_the_memoizer_may_send_the_task_to_another_executor(kernel):
    made = kernel()
    made.memoizer.route[0] = "birch"
    made.submit(worker_side.double, 1).result(timeout=60)
    assert made.calls[4][:2] == ("submit", "birch")


@seam("Memoizer.update_memo_result and update_memo_exception", "ends of tasks are missed or told twice")
def test_each_task_ends_with_one_call_before_the_program_sees_it(kernel):
    made = kernel()
    good, bad = made.submit(worker_side.double, 1), made.submit(worker_side.divide)
    child = made.submit(worker_side.double, bad)
    assert good.result(timeout=60) == 2
    assert isinstance(child.exception(timeout=10), DependencyError)
    ends = sorted(call for call in made.calls if call[0] in ("result", "exception"))
    assert ends == [
        ("exception", 1, ZeroDivisionError, False),
        ("exception", 2, DependencyError, False),
        ("result", 0, 2, False),
    ]


@seam("the methods of Memoizer", "the program's own memoizer misses calls")
def test_a_memoizer_has_these_methods_and_no_others():
    names = {name for name in vars(Memoizer) if not name.startswith("_")}
    assert names == {"start", "check_memo", "update_memo_result", "update_memo_exception", "close"}
    assert "update_memo_exception" in vars(BasicMemoizer)


@seam("the keys of TaskRecord", "our hooks fall back to stock behaviour for every task")
def test_a_task_record_has_what_we_read(kernel):
    seen = []

    def handler(error, task):
        seen.append({**task})
        return 1.0

    made = kernel(handler=handler)
    assert isinstance(made.submit(worker_side.divide).exception(timeout=10), ZeroDivisionError)
    (record,) = seen
    keys = "args depends dfk executor fail_cost from_memo func func_name id kwargs memoize status try_id"
    assert set(keys.split()) <= set(record)
    assert record["dfk"] is made.kernel
    assert (record["executor"], record["func_name"], record["id"]) == ("alder", "divide", 0)
    assert (record["try_id"], record["fail_cost"], record["from_memo"]) == (0, 0, False)
    assert (record["status"], list(record["depends"])) == (States.launched, [])
    assert made.kernel.executors["alder"] is made.executors[0]
    assert INTERNAL in made.kernel.executors


@seam("what the kernel does with the cost of a failure", "decisions to retry or to fail are not carried out")
def test_a_cost_within_the_retries_is_another_try_and_infinity_is_none(kernel):
    costs = iter([0.0, 1.0, 0.0, -1.0, math.inf])
    tries = []

    def handler(error, task):
        tries.append((task["try_id"], task["fail_cost"]))
        return next(costs)

    made = kernel(handler=handler, retries=1)
    assert isinstance(made.submit(worker_side.divide).exception(timeout=10), ZeroDivisionError)
    assert tries == [(0, 0), (1, 0.0), (2, 1.0), (3, 1.0), (4, 0.0)]


@seam("failures at launch", "a task that is refused at launch is taken for one that failed at its place")
def test_a_task_that_fails_at_launch_is_pending_when_the_handler_is_asked(kernel):
    seen = []

    def handler(error, task):
        seen.append((type(error), task["status"]))
        return 1.0

    made = kernel(handler=handler)
    made.submit(worker_side.double, 1, executors=("oak",)).exception(timeout=10)
    assert seen == [(ValueError, States.pending)]


@seam("task_record['depends'] and launch_if_ready", "delayed retries start at once, or never")
def test_a_gate_among_the_dependencies_holds_the_next_try_back(kernel):
    gate: Future = Future()

    def handler(error, task):
        task["depends"] = [*task["depends"], gate]
        gate.add_done_callback(lambda _: task["dfk"].launch_if_ready(task))
        return 0.0 if not gate.done() else math.inf

    made = kernel(handler=handler)
    future = made.submit(worker_side.divide)
    time.sleep(0.3)
    assert made.kinds().count("submit") == 1
    gate.set_result(None)
    assert isinstance(future.exception(timeout=10), ZeroDivisionError)
    assert made.kinds().count("submit") == 2


@seam("task_record['executor'] in the retry handler", "tasks do not move to another executor")
def test_a_retry_goes_where_the_handler_has_sent_it(kernel):
    def handler(error, task):
        here, task["executor"] = task["executor"], "birch"
        return 0.0 if here == "alder" else math.inf

    made = kernel(handler=handler)
    made.submit(worker_side.divide).exception(timeout=10)
    assert [call[1] for call in made.calls if call[0] == "submit"] == ["alder", "birch"]


# ---------------------------------------------------------------- apps


@python_app(executors=["alder"])
def an_app():
    return 1


@bash_app(executors=["alder"])
def a_bash_app():
    return "true"


@seam("PythonApp and BashApp", "it is not known where an app may run, nor what @resilience says of it")
def test_an_app_object_knows_its_function_and_its_executors():
    for app in (an_app, a_bash_app):
        assert isinstance(app, AppBase)
        assert app.executors == ["alder"]
        assert app.func.__name__ == app.__name__
    assert an_app.func.__wrapped__() == 1
    assert timeout(an_app.func, 1).__wrapped__ is an_app.func
    partial = a_bash_app.wrapped_remote_function.__wrapped__
    assert partial.args == (a_bash_app.func,)


@seam("File.scheme", "tasks whose files were staged for one executor are moved to another")
def test_a_file_knows_its_scheme():
    assert (File("/data/x").scheme, File("https://host/x").scheme) == ("file", "https")


@seam("importing parsl on a worker", "nothing works")
def test_the_programs_that_parsl_starts_are_found():
    done = subprocess.run(["process_worker_pool.py", "--help"], capture_output=True, text=True, check=False)
    assert "--block_id" in done.stdout


# --- the kernel, as a task is ended from outside ---


@seam("a task record's state, lock and future", "cancel() does not see where a task is")
def test_a_record_tells_where_its_task_is(kernel):
    made, dependency, begin, end = kernel(), Future(), threading.Event(), threading.Event()
    waiting = made.submit(len, dependency).task_record
    assert waiting["task_launch_lock"].acquire(timeout=1)
    waiting["task_launch_lock"].release()
    assert (waiting["status"], waiting["exec_fu"], waiting["joins"]) == (States.pending, None, None)
    running = made.submit(lambda: begin.set() or end.wait(20)).task_record
    assert begin.wait(10)
    deadline = time.monotonic() + 10
    while running["exec_fu"] is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (running["status"], running["exec_fu"].done()) == (States.launched, False)
    assert made.kernel.tasks[running["id"]] is running
    end.set()
    dependency.set_result("abc")
    assert waiting["app_fu"].result(timeout=60) == 3
    assert waiting["id"] not in made.kernel.tasks


@seam("the kernel's callback on a try's future", "a cancelled task ends twice, or a thread of the pool dies")
def test_the_kernel_hears_of_a_tries_end_through_one_callback_that_can_be_taken_back(kernel):
    made, begin, end = kernel(), threading.Event(), threading.Event()
    task = made.submit(lambda: begin.set() or end.wait(20)).task_record
    assert begin.wait(10)
    while task["exec_fu"] is None:
        time.sleep(0.01)
    before = list(task["exec_fu"]._done_callbacks)
    future = seam_of_kernel.detach(task)
    assert [each.args[0] for each in before if each not in future._done_callbacks] == [task]
    end.set()
    assert future.result(timeout=60)
    assert made.submit(len, "abc").result(timeout=60) == 3
    assert not task["app_fu"].done()
    assert task["status"] == States.launched
    seam_of_kernel.end_task(task, KeyError("x"))
    assert isinstance(task["app_fu"].exception(timeout=1), KeyError)


@seam("ending a task with an exception", "cancel() cannot end a task")
def test_a_task_that_is_ended_asks_the_memoizer_first_and_is_not_launched_afterwards(kernel):
    made, dependency = kernel(), Future()
    future = made.submit(len, dependency)
    child = made.submit(len, future)
    seam_of_kernel.end_task(future.task_record, KeyError("x"))
    assert isinstance(future.exception(timeout=1), KeyError)
    assert isinstance(child.exception(timeout=10), DependencyError)
    dependency.set_result("abc")
    assert made.submit(len, "abc").result(timeout=60) == 3
    assert made.kernel.task_state_counts[States.failed] == 1
    ends = [call[1] for call in made.calls if call[0] == "exception"]
    assert ends[0] == future.task_record["id"]
    assert made.kinds().count("submit") == 1


@seam("an end that the memoizer refuses", "a cancelled task may end twice")
def test_an_end_that_the_memoizer_refuses_changes_nothing(kernel):
    made = kernel()
    future = made.submit(len, Future())

    def refuse(*_):
        raise InvalidStateError

    made.memoizer.update_memo_exception = refuse
    with pytest.raises(InvalidStateError):
        seam_of_kernel.end_task(future.task_record, KeyError("x"))
    assert not future.done()
    assert future.task_record["status"] == States.pending


@seam("a retry handler that raises", "a try that failed while it was cancelled ends with its own error")
def test_what_the_retry_handler_raises_is_what_the_program_sees(kernel):
    def handler(error, task):
        raise KeyError("x")

    made = kernel(handler=handler, retries=3)
    assert isinstance(made.submit(int, "no number").exception(timeout=10), KeyError)


@seam("the state of a join app", "the inner tasks of a cancelled join app go on")
def test_a_join_app_knows_what_it_waits_for(kernel):
    made, inner = kernel(), Future()
    task = made.kernel.submit(lambda: inner, (), ["alder"], False, None, {}, join=True).task_record
    deadline = time.monotonic() + 10
    while task["status"] != States.joining and time.monotonic() < deadline:
        time.sleep(0.01)
    assert seam_of_kernel.inner_futures(task) == [inner]
    seam_of_kernel.end_task(task, KeyError("x"))
    inner.set_result(1)
    assert isinstance(task["app_fu"].exception(timeout=1), KeyError)


@seam("the loaded kernel", "tasks cannot be cancelled from outside before the first one is launched")
def test_the_loaded_kernel_can_be_found_by_its_run(tmp_path):
    assert seam_of_kernel.loaded("no such run") is None
    with parsl.load(Config(executors=[ThreadPoolExecutor()], run_dir=str(tmp_path))) as made:
        assert seam_of_kernel.loaded(made.run_id) is made
    parsl.clear()


@seam("what the database of the monitoring hub keeps of a manager", "lists of packages are dropped in vain")
def test_no_table_of_the_monitoring_hub_has_a_column_for_packages():
    pytest.importorskip("sqlalchemy")
    source = inspect.getsource(import_module("parsl.monitoring.db_manager"))
    assert "packages" not in source
    assert "class Node(" in source
