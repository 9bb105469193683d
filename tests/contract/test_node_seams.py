"""What the node's side rests on in Parsl's worker pool and interchange, and what breaks when it changes."""

from __future__ import annotations

import ast
import inspect
import os
import platform
import re
import textwrap
import time
from pathlib import Path

import pytest
from parsl import HighThroughputExecutor
from parsl.executors.high_throughput import interchange, process_worker_pool
from parsl.providers import LocalProvider

from parsl_diaspora.monitoring.node.command import parsl_version
from parsl_diaspora.monitoring.node.deaths import Death
from parsl_diaspora.monitoring.node.htex_link import HtexLink, host_facts
from parsl_diaspora.monitoring.node.pool import WATCHDOG
from tests.contract import worker_side
from tests.contract.seams import seam
from tests.contract.worker_side import RecordSelector

FIRST_PORT = 27_000 + os.getpid() % 40 * 60
POOL = inspect.getsource(process_worker_pool)


# ---------------------------------------------------------------- the worker pool


@seam("the thread worker-watchdog", "a dead worker is found after a heartbeat period only, as stock has it")
def test_the_watchdog_waits_for_an_event_in_a_thread_of_that_name():
    assert f'target=self.worker_watchdog, args=(procs,), name="{WATCHDOG}"' in POOL
    loop = textwrap.dedent(inspect.getsource(process_worker_pool.Manager.worker_watchdog))
    assert "while not self._stop_event.wait(self.heartbeat_period):" in loop
    assert "for worker_id, p in procs.items():" in loop
    assert "if not p.is_alive():" in loop
    assert "self._stop_event = threading.Event()" in POOL


@seam("the names of the workers' processes", "it is not known which worker has died, nor what it ran")
def test_workers_are_named_by_their_rank():
    assert 'name="HTEX-Worker-{}".format(worker_id)' in POOL
    assert Death(name=f"HTEX-Worker-{12}", pid=1).rank == 12
    assert Death(name="SyncManager-1", pid=1).rank is None


@seam("multiprocessing.Manager in the pool", "a pool whose shared objects are gone goes on without working")
def test_shared_objects_live_in_a_process_of_that_name():
    assert "SpawnContext.Manager()" in POOL
    assert Death(name="SyncManager-1", pid=1).ends_pool


@seam("options of process_worker_pool", "a supervisor does not know its manager, or cannot name the next one")
def test_the_pool_takes_an_id_and_tells_where_its_interchange_is():
    options = {
        node.value
        for node in ast.walk(ast.parse(POOL))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("-")
    }
    assert {"-u", "--uid", "-b", "--block_id", "-a", "--addresses", "-P", "--port", "--cert_dir"} <= options


@seam("the environment of a worker", "a worker does not find its place on the board")
def test_a_workers_rank_is_in_its_environment():
    assert "os.environ['PARSL_WORKER_RANK'] = str(worker_id)" in POOL


@seam("parsl.version", "a supervisor's registration ends the interchange, which takes one version only")
def test_the_version_that_a_manager_tells_is_the_one_that_we_tell():
    assert parsl_version() == process_worker_pool.PARSL_VERSION == interchange.PARSL_VERSION


# ---------------------------------------------------------------- the interchange


@pytest.fixture
def executor(tmp_path):
    """A stock executor with an interchange and without any pool."""
    made = HighThroughputExecutor(
        label="alder",
        address="127.0.0.1",
        encrypted=True,
        worker_port_range=(FIRST_PORT, FIRST_PORT + 25),
        interchange_port_range=(FIRST_PORT + 25, FIRST_PORT + 55),
        provider=LocalProvider(init_blocks=0, max_blocks=1),
        manager_selector=RecordSelector(str(tmp_path / "records")),
    )
    made.run_id, made.run_dir = "r", str(tmp_path)
    made.provider.script_dir = str(tmp_path)
    made.start()
    yield made
    made.shutdown()


@pytest.fixture
def link(executor):
    versions = {"parsl_v": parsl_version(), "python_v": platform.python_version()}
    made = HtexLink(
        ["127.0.0.1", "192.0.2.1"],  # nobody has the second one
        executor.worker_port,
        Path(executor.cert_dir),
        "m1",
        {**host_facts(), **versions},
        beat=0.1,
    )
    made.said.update(supervises="m1", real_block="0", events=["{}"])
    yield made
    made.close()


def beat(link, until, seconds=20):
    """Step until something holds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        link.step()
        time.sleep(0.02)


def managers(executor):
    """As stock lists them; asking the interchange is safe, as it lives."""
    return [each["manager"] for each in HighThroughputExecutor.connected_managers(executor)]


@seam("the interchange's records, heartbeats and drains", "nodes give no signs of life that anybody can see")
def test_a_supervisor_registers_is_answered_gets_no_tasks_and_takes_leave(executor, link, tmp_path):
    beat(link, lambda: managers(executor) == ["node-m1"])
    link.said.update(supervises="m2")
    link.register_again()  # takes the place of what was said before
    heard = link.heard
    beat(link, lambda: link.heard > heard + 0.3)
    assert managers(executor) == ["node-m1"]

    future = executor.submit(worker_side.double, {}, 2)
    beat(link, (tmp_path / "records").exists)
    (record,) = worker_side.read_records(tmp_path / "records")
    address, port = record.pop("local")
    assert (address, port > 0) == ("127.0.0.1", True)
    kept = {name: record[name] for name in ("supervises", "real_block", "events", "block_id", "tasks")}
    assert kept == {
        "supervises": "m2",
        "real_block": "0",
        "events": ["{}"],
        "block_id": "diaspora-node",
        "tasks": [],
    }
    heard = link.heard
    beat(link, lambda: link.heard > heard + 0.5)
    assert not future.done()
    assert executor.outstanding() == 1

    link.close()
    end = time.monotonic() + 10
    while managers(executor):
        assert time.monotonic() < end, "the record stays"
        time.sleep(0.1)


def test_silence_is_noticed_when_the_interchange_dies(executor, link):
    beat(link, lambda: link.heard is not None)
    executor.interchange_proc.kill()
    executor.interchange_proc.wait()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        link.step()  # what nobody takes piles up nowhere and raises nothing
        time.sleep(0.02)
    assert link.silent() > 0.5


@seam("registration of a manager", "the interchange or the monitoring database misses what it expects")
def test_a_supervisors_registration_has_all_that_a_managers_has():
    stock = set(re.findall(r"'(\w+)':", inspect.getsource(process_worker_pool.Manager.create_reg_message)))
    ours = set(host_facts()) | {"parsl_v", "python_v", "type", "drain_time", "uid"}
    ours |= {"block_id", "worker_count", "max_capacity", "prefetch_capacity", "packages"}
    assert "hostname" in stock
    assert stock <= ours
