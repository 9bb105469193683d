"""The program's own monitoring still gets everything that it got without us."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import psutil
import pytest
from parsl.monitoring import MonitoringHub
from parsl.monitoring.message_type import MessageType
from parsl.multiprocessing import SpawnQueue

from parsl_diaspora import open_fabric
from parsl_diaspora.events import ManagerSeen
from parsl_diaspora.monitoring import hub
from parsl_diaspora.monitoring.hub import ListeningHub
from parsl_diaspora.state import read_history
from tests.monitoring.fakes import Program

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("monitored_program.py")


class InnerHub(MonitoringHub):
    """The program's hub, without a database."""

    def __init__(self):
        self.workflow_name = "study"
        self.resource_monitoring_enabled = False
        self.got = []
        self.closed = False

    def start(self, dfk_run_dir, config_run_dir, log_config):
        self.started_with = (dfk_run_dir, config_run_dir, log_config)
        self.resource_msgs = SpawnQueue()

    def close(self):
        self.resource_msgs.put(None)
        while (message := self.resource_msgs.get()) is not None:
            self.got.append(message)
        self.resource_msgs.close()
        self.resource_msgs.join_thread()
        self.closed = True


def node(uid="m1", **more):
    fields = {"uid": uid, "block_id": "0", "hostname": "n1", "worker_count": 4, "python_version": "3.11.7"}
    return (MessageType.NODE_INFO, {**fields, **more})


@pytest.fixture
def listening(tmp_path):
    program = Program(tmp_path)
    inner = InnerHub()
    made = ListeningHub(inner, program.session)
    made.start("run", "runs", None)
    return made, inner, program


def test_each_message_reaches_the_programs_hub_in_order(listening):
    made, inner, _ = listening
    messages = [(MessageType.TASK_INFO, {"task_id": n}) for n in range(50)]
    for message in messages:
        made.resource_msgs.put(message)
    made.close()
    assert inner.got == messages
    assert inner.closed
    assert inner.started_with == ("run", "runs", None)


def test_managers_are_said_to_be_seen_with_their_node_once(listening):
    made, inner, program = listening
    for message in (node(), node(tasks=[1, 2]), node("m2", hostname="n2")):
        made.resource_msgs.put(message)
    made.close()
    assert len(inner.got) == 3
    seen = [(event.manager, event.node, event.workers) for event in program.said(ManagerSeen)]
    assert seen == [("m1", "n1", 4), ("m2", "n2", 4)]


def test_the_packages_of_a_manager_travel_once_until_they_change(listening):
    made, inner, _ = listening
    first, other = {"numpy": "2.1", "parsl": "2026.10.26"}, {"numpy": "2.2"}
    for message in (
        node(packages=first),
        node(packages=first, tasks=3),
        node("m2", packages=dict(first)),
        node(packages=other),
        node(packages=other, active=False),
        node(packages=other),
        node(),
    ):
        made.resource_msgs.put(message)
    made.close()
    told = [(fields["uid"], fields.get("packages")) for _, fields in inner.got]
    assert told == [
        ("m1", first),
        ("m1", None),
        ("m2", first),
        ("m1", other),
        ("m1", None),
        ("m1", other),
        ("m1", None),
    ]
    assert inner.got[1][1]["tasks"] == 3


def test_supervisors_are_no_managers_to_the_programs_hub(listening):
    made, inner, program = listening
    for message in (node("node-m1", worker_count=0), node("m1")):
        made.resource_msgs.put(message)
    made.close()
    assert inner.got == [node("m1")]
    assert [event.manager for event in program.said(ManagerSeen)] == ["m1"]


def test_repeats_are_as_short_as_messages_without_packages(listening):
    made, inner, _ = listening
    packages = {f"package-number-{n}": f"{n}.0.1" for n in range(300)}
    for tasks in range(10):
        made.resource_msgs.put(node(packages=packages, tasks=tasks))
    made.close()
    sizes = [len(pickle.dumps(message)) for message in inner.got]
    assert sizes[0] > 5_000
    assert max(sizes[1:]) < 500


def test_without_a_hub_neither_a_database_nor_its_library_is_needed(tmp_path):
    program = """
import sys
sys.modules["sqlalchemy"] = None
import parsl
from parsl import Config, ThreadPoolExecutor, python_app
from parsl_diaspora import open_fabric, resilient
from parsl_diaspora.state import read_history

with parsl.load(resilient(Config(executors=[ThreadPoolExecutor()]), fabric="file:log")):
    assert python_app(lambda: 42)().result() == 42
picture = read_history(open_fabric("file:log")).find("last")
assert (picture.counts["done"], picture.ended.faults) == (1, {})
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, timeout=60, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.db"))


def test_a_message_that_we_do_not_understand_still_reaches_the_programs_hub(listening):
    made, inner, program = listening
    odd = [(MessageType.NODE_INFO, None), "no message at all", (MessageType.NODE_INFO, {"uid": []})]
    for message in [*odd, node()]:
        made.resource_msgs.put(message)
    made.close()
    assert inner.got == [*odd, node()]
    assert program.session.live.faults == {"monitoring hub": 3}
    assert len(program.said(ManagerSeen)) == 1


def test_messages_before_the_run_has_begun_are_passed_on(tmp_path):
    program = Program(tmp_path, whole=True)
    inner = InnerHub()
    made = ListeningHub(inner, program.session)
    made.start("run", "runs", None)
    made.resource_msgs.put(node())
    made.close()
    assert inner.got == [node()]


@pytest.mark.timeout(30)
def test_a_hub_that_takes_no_messages_any_more_does_not_hang_the_programs_end(listening, monkeypatch):
    monkeypatch.setattr(hub, "CLOSE_SECONDS", 0.5)
    made, inner, program = listening
    inner.resource_msgs.close()
    for _ in range(200):
        made.resource_msgs.put((MessageType.TASK_INFO, {"text": "x" * 10_000}))
    inner.close = lambda: None
    made.close()
    assert program.session.live.faults["monitoring hub"] == 1


def test_all_that_the_programs_hub_is_asked_for_is_still_there(listening):
    made, _, _ = listening
    assert made.workflow_name == "study"
    assert made.resource_monitoring_enabled is False
    with pytest.raises(AttributeError):
        made.no_such_setting  # noqa: B018
    made.close()
    assert "diaspora-hub" not in {thread.name for thread in threading.enumerate()}


# --- the real one ---


def run(kind, directory, first):
    mark = uuid.uuid4().hex
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "TEST_HUB_MARK": mark}
    command = [sys.executable, str(SCRIPT), kind, str(directory), str(first)]
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ, cwd=directory)
    return process, mark


def rows(directory, query):
    with sqlite3.connect(directory / "runinfo" / "monitoring.db") as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


def left_over(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TEST_HUB_MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same program with and without us, each with Parsl's monitoring into its own database."""
    pytest.importorskip("sqlalchemy")
    first = 21_000 + os.getpid() % 40 * 100
    directories = {kind: tmp_path_factory.mktemp(kind) for kind in ("stock", "resilient")}
    running = [
        run(kind, directory, first + 50 * n) for n, (kind, directory) in enumerate(directories.items())
    ]
    for (process, _), directory in zip(running, directories.values(), strict=True):
        assert process.wait(timeout=100) == 0, (directory / "output").read_text()
    deadline = time.monotonic() + 30
    while any(left_over(mark) for _, mark in running):
        assert time.monotonic() < deadline, "something was left running"
        time.sleep(0.5)
    return directories


QUERIES = {
    "workflow": "select workflow_name, tasks_completed_count, tasks_failed_count from workflow",
    "tasks": "select task_id, task_func_name, task_fail_count, task_depends, task_memoize from task",
    "tries": "select task_id, try_id, task_executor, task_fail_history, hostname, block_id from try",
    "states": "select distinct task_id, try_id, task_status_name from status",
    "blocks": "select distinct executor_label, block_id from block",
    "nodes": "select distinct hostname, block_id, worker_count, python_v, active from node",
}


@pytest.mark.parametrize("name", QUERIES)
def test_the_database_holds_the_same_with_and_without_us(both, name):
    found = {kind: sorted(rows(directory, QUERIES[name])) for kind, directory in both.items()}
    assert found["stock"]
    assert found["resilient"] == found["stock"]


def test_the_manager_of_that_run_was_heard_of_with_its_node(both):
    picture = read_history(open_fabric(f"file:{both['resilient'] / 'log'}")).find("last")
    (manager,) = picture.managers.values()
    assert (manager.node, manager.workers, manager.executor) == (os.uname().nodename, 2, "alder")
    assert picture.ended.faults == {}
