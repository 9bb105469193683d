"""The executor round its interchange: what is taken back, what waits, what blocks do meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from parsl.executors.high_throughput.errors import CommandClientTimeoutError
from parsl.executors.high_throughput.zmq_pipes import CommandClient, ResultsIncoming, TasksOutgoing
from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider

from parsl_diaspora.executors import ResilientHighThroughputExecutor
from parsl_diaspora.executors.errors import InterchangeLost, NoBlocks
from parsl_diaspora.fabric.memory import MemoryFabric
from parsl_diaspora.state import Live
from tests.executors.fakes import FakeQueue, launch
from tests.executors.keeping.test_pipes import PORTS
from tests.executors.test_htex import Interchange, Link, Outgoing


class Keeper:
    """Says whether there is an interchange now."""

    is_down = False
    number = 1
    renewed = ""

    def renew(self, reason):
        self.renewed = reason


class Client:
    """A command client without sockets, whose answers are given."""

    port = 5

    def __init__(self):
        self.answers = {"MANAGERS": [], "CONNECTED_BLOCKS": []}
        self.asked = []

    def run(self, message, max_retries=3, timeout_s=None):
        self.asked.append(message)
        if self.answers is None:
            raise CommandClientTimeoutError("silent")
        return self.answers.get(str(message))

    def close(self):
        pass


class Provider(LocalProvider):
    """Starts nothing, and says what it was asked."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.submitted, self.cancelled = [], []
        self.on_submit = lambda: None

    def submit(self, command, tasks_per_node, job_name="x"):
        self.on_submit()
        self.submitted.append(command)
        return f"job-{len(self.submitted)}"

    def cancel(self, job_ids):
        self.cancelled += job_ids
        return [True for _ in job_ids]


class Pool:
    def __init__(self, max_blocks=4):
        self.provider = Provider(max_blocks=max_blocks)
        self.executor = ResilientHighThroughputExecutor(
            label="alder", address="127.0.0.1", provider=self.provider, launch_cmd="pool {{block_id}}"
        )
        self.executor.link = Link()
        self.executor.run_id = "r"
        self.executor._live = Live(MemoryFabric(), "r", "submit")
        self.client, self.outgoing = Client(), Outgoing()
        self.executor.outgoing_q, self.executor.incoming_q = self.outgoing, FakeQueue()
        self.executor.command_client = self.client
        self.executor.interchange_proc = Interchange()
        self.executor.launch_cmd = "pool {block_id}"
        self.keeper = self.executor._keeper = Keeper()

    def submit(self, task=0):
        from parsl_diaspora.executors.launch import launching

        launching.launch = launch(task=task)
        return self.executor.submit(abs, {}, -1)

    def sent(self):
        return [each["task_id"] for each in self.outgoing.sent]


@pytest.fixture
def pool():
    return Pool()


# --- tasks ---


def test_a_program_reads_of_parsls_pipes_what_it_reads_in_stock():
    pool = ResilientHighThroughputExecutor(label="pool", address="127.0.0.1", loopback_address="127.0.0.1")
    for name, pipe in (("outgoing_q", TasksOutgoing), ("incoming_q", ResultsIncoming)):
        stock = pipe("127.0.0.1", PORTS, None)
        setattr(pool, name, stock)
        assert getattr(pool, name).zmq_context is stock.zmq_context
        stock.close()
    client = CommandClient("127.0.0.1", PORTS, None)
    pool.command_client = client
    assert pool.command_client.zmq_context is client.zmq_context
    client.close()


def test_an_executor_that_is_not_started_yet_sends_into_what_it_is_given():
    pool = ResilientHighThroughputExecutor(label="pool", address="127.0.0.1")
    pool.outgoing_q = outgoing = Outgoing()
    future = pool.submit(abs, {}, -1)
    assert [each["task_id"] for each in outgoing.sent] == [1]
    assert not future.done()


def test_an_executor_whose_start_went_no_further_than_its_interchange_can_be_shut_down():
    pool = ResilientHighThroughputExecutor(label="pool", address="127.0.0.1")
    pool.interchange_proc = process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE
    )
    pool.shutdown()
    assert process.wait(30) == -signal.SIGTERM
    process.stdin.close()


def test_what_is_with_the_interchange_is_taken_back_and_ends_with_its_loss(pool):
    futures = [pool.submit(n) for n in range(3)]
    assert pool.executor.take_back_tasks() == 3
    late = pool.submit(3)
    assert pool.executor.outstanding() == 1
    pool.executor.end_taken_tasks(lambda: InterchangeLost("gone"))
    assert all(isinstance(future.exception(timeout=0), InterchangeLost) for future in futures)
    assert not late.done()
    assert pool.sent() == [1, 2, 3]


def test_what_waits_here_is_not_taken_back_but_sent_later(pool):
    pool.submit()
    pool.executor.take_back_tasks()
    pool.executor.end_taken_tasks(lambda: InterchangeLost("gone"))
    waiting = [pool.submit(n) for n in (1, 2)]
    assert pool.executor.take_back_tasks() == 0
    pool.executor._outbox.release()
    assert pool.sent() == [1, 2, 3]
    assert not any(future.done() for future in waiting)


def test_when_all_tasks_are_ended_the_interchange_is_made_to_forget_them(pool):
    futures = [pool.submit(n) for n in range(2)]
    pool.executor.end_all_tasks(lambda: NoBlocks("none"), "no block")
    assert all(isinstance(future.exception(timeout=0), NoBlocks) for future in futures)
    assert pool.keeper.renewed == "no block"
    pool.submit(5)
    assert pool.sent() == [1, 2]  # nothing more goes to the one that is to be replaced
    pool.executor._outbox.release()
    assert pool.sent() == [1, 2, 3]


def test_tasks_that_no_interchange_has_seen_are_forgotten_here(pool):
    pool.executor._outbox.hold()
    future = pool.submit()
    pool.executor.end_all_tasks(lambda: NoBlocks("none"), "no block")
    assert isinstance(future.exception(timeout=0), NoBlocks)
    assert not pool.keeper.renewed
    pool.submit(1)
    assert pool.sent() == [2]


# --- what the interchange is asked ---


def manager(name, block="0"):
    return {"manager": name, "block_id": block}


def test_managers_are_those_that_run_tasks(pool):
    pool.client.answers["MANAGERS"] = [manager("m1"), manager("node-m1", "diaspora-node")]
    assert [each["manager"] for each in pool.executor.connected_managers()] == ["m1"]
    pool.client.answers["MANAGERS_PACKAGES"] = {"m1": {"parsl": "1"}, "node-m1": {}}
    assert pool.executor.connected_managers_packages() == {"m1": {"parsl": "1"}}
    pool.client.answers = None
    assert pool.executor.connected_managers_packages() == {}


def test_while_there_is_no_answer_the_last_one_holds(pool):
    pool.client.answers = {"MANAGERS": [manager("m1")], "CONNECTED_BLOCKS": ["diaspora-node", "0", "1", "0"]}
    pool.executor.connected_managers(), pool.executor.connected_blocks()
    pool.client.answers = None
    assert [each["manager"] for each in pool.executor.connected_managers()] == ["m1"]
    assert pool.executor.connected_blocks() == ["0", "1"]
    pool.executor._hold_manager("m1")  # raises nothing


def test_a_block_whose_manager_was_seen_has_connected_though_nobody_asked_for_blocks_in_time(pool):
    pool.client.answers["MANAGERS"] = [manager("m1", "3")]
    pool.executor.connected_managers()
    pool.client.answers = None
    assert pool.executor.connected_blocks() == ["3"]


def test_blocks_that_have_connected_to_an_earlier_interchange_still_have(pool):
    pool.client.answers["CONNECTED_BLOCKS"] = ["0"]
    pool.executor.connected_blocks()
    pool.client.answers["CONNECTED_BLOCKS"] = ["1"]
    assert pool.executor.connected_blocks() == ["0", "1"]


# --- blocks ---


def states(pool):
    return {block: status.state for block, status in pool.executor.status_facade.items()}


def test_while_there_is_no_interchange_blocks_are_owed_and_started_later(pool):
    pool.keeper.is_down = True
    assert pool.executor.scale_out_facade(2) == []
    assert pool.executor.scale_out_facade(1) == []
    assert pool.provider.submitted == []
    pool.keeper.is_down = False
    pool.executor.look_after_tasks()
    assert pool.provider.submitted == ["pool 0", "pool 1"]
    pool.executor.look_after_tasks()
    assert len(pool.provider.submitted) == 2


def test_a_block_that_was_started_for_an_interchange_that_died_meanwhile_is_given_back(pool):
    def die():
        pool.keeper.number = 2

    pool.provider.on_submit = die
    assert pool.executor.scale_out_facade(1) == []
    assert states(pool) == {"0": JobState.SCALED_IN}
    assert pool.provider.cancelled == ["job-1"]
    pool.executor.look_after_tasks()
    assert states(pool) == {"0": JobState.SCALED_IN, "1": JobState.PENDING}


def test_blocks_of_the_old_interchange_are_given_back_and_as_many_are_owed(pool):
    pool.executor.scale_out_facade(3)
    pool.executor._status["0"] = JobStatus(JobState.FAILED)
    pool.executor._give_back_old_blocks()
    pool.executor.look_after_tasks()
    assert states(pool) == {
        "0": JobState.FAILED,
        "1": JobState.SCALED_IN,
        "2": JobState.SCALED_IN,
        "3": JobState.PENDING,
        "4": JobState.PENDING,
    }
    assert pool.provider.cancelled == ["job-2", "job-3"]


def test_a_poll_that_began_before_blocks_were_given_back_does_not_keep_new_ones_from_starting():
    pool = Pool(max_blocks=1)
    pool.executor.scale_out_facade(1)
    polled = {"0": JobStatus(JobState.RUNNING)}
    pool.executor._give_back_old_blocks()
    pool.executor._status = polled  # Parsl's poller had asked just before
    pool.executor.look_after_tasks()
    assert states(pool) == {"0": JobState.RUNNING, "1": JobState.PENDING}


def test_owed_blocks_never_exceed_the_maximum():
    pool = Pool(max_blocks=2)
    pool.executor.scale_out_facade(1)
    pool.keeper.is_down = True
    pool.executor.scale_out_facade(5)
    pool.keeper.is_down = False
    pool.executor.look_after_tasks()
    assert len(pool.executor.active_blocks) == 2


def test_a_batch_system_that_refuses_to_end_a_block_does_not_keep_the_others(pool, monkeypatch):
    def refuse(job_ids):
        raise OSError("scancel: not now")

    pool.executor.scale_out_facade(2)
    monkeypatch.setattr(pool.provider, "cancel", refuse)
    pool.executor.give_back(["0", "1"], "its interchange is gone")
    assert set(states(pool).values()) == {JobState.SCALED_IN}
    assert pool.executor._live.faults == {"ending of block 0 of alder": 1, "ending of block 1 of alder": 1}


def test_a_release_without_the_statuses_ends_blocks_all_the_same(pool):
    pool.executor.scale_out_facade(1)
    pool.executor._lacking = frozenset({"blocks"})
    pool.executor.give_back(["0"], "its interchange is gone")
    assert pool.provider.cancelled == ["job-1"]
    assert states(pool) == {"0": JobState.PENDING}
