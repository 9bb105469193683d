"""A node that has process ids and a name of its own, as in a container."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from parsl_diaspora.monitoring.node import kernel
from tests.monitoring.node.pools import Node

NAMESPACES = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--uts"]


def refusal():
    """Why no such node can be made here; empty if one can."""
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, timeout=20, check=False)
    return f"namespaces cannot be made here: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture
def node(tmp_path):
    if why := refusal():
        pytest.skip(why)
    made = []

    def make(name, *options, **told):
        within = [*NAMESPACES, "sh", "-c", f'hostname {name}; "$@"; exit $?', "sh"]
        made.append(Node(tmp_path, *options, within=within, **told))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_node_speaks_under_its_own_name_and_the_program_is_not_looked_for_among_its_processes(node):
    me = os.getpid()
    told = {"submit_host": os.uname().nodename, "submit_pid": me, "submit_start": kernel.stat(me).start}
    here = node(os.uname().nodename, **told)
    here.worker(0)
    time.sleep(3)  # longer than between two looks
    assert here.process.poll() is None
    assert here.event("node.seen").node == os.uname().nodename
    here.orders.give({"node": os.uname().nodename}, {"kind": "end"})
    assert here.exit_code() == 0
    assert here.event("node.ending").reason == "asked to"


def test_deaths_and_orders_work_within_an_emulated_node(node):
    here = node("emulated-7", "--does=hold", "--workers=1")
    here.worker(0)
    here.orders.give({"node": "another"}, {"kind": "end"})
    here.orders.give({"node": "emulated-7"}, {"kind": "stop", "task": 100, "try": 2, "grace": 0.1})
    assert here.event("task.try_stopped").node == "emulated-7"
    ended = here.event("worker.ended")
    assert (ended.node, ended.task, ended.stopped) == ("emulated-7", 100, "stopped")


def test_all_of_a_node_vanishes_at_once_with_it(node):
    here = node("emulated-8", "--does=child")
    here.worker(0), here.worker(1)
    here.process.kill()
    here.until(lambda: here.left() == [], "the end of all", 15)
    assert not kernel.is_alive(here.process.pid)
