"""Supervisors in a real program at Parsl's default heartbeats: deaths are known long before one is due."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.events import ManagerEnded, TryFailed, TryStarted, WorkerEnded
from parsl_diaspora.executors.sweep import marked_processes
from parsl_diaspora.monitoring.node import kernel
from parsl_diaspora.state import read_events
from tests.integration import apps

HEARTBEATS = {"heartbeat_period": 30, "heartbeat_threshold": 120}
SOON = 10.0  # seconds: a third of a heartbeat period, on a machine that others use, too


@pytest.fixture
def running(program):
    """A program with one block of two workers, at Parsl's default heartbeats."""
    program.load(program.pool("alder", **HEARTBEATS))
    assert apps.spin(2, 0.0).result(timeout=60) == 4
    return program


def said(program, kind):
    return [event for event in read_events(open_fabric(program.url)) if isinstance(event, kind)]


def until(look, seconds=30.0):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_worker_that_dies_is_known_with_its_signal_and_its_task_runs_again(running, tmp_path):
    assert apps.die_until(str(tmp_path / "deaths"), 1).result(timeout=60) == 2
    (ended,) = said(running, WorkerEnded)
    (failed,) = said(running, TryFailed)
    (first, _) = [event for event in said(running, TryStarted) if event.task == 1]
    assert failed.time - first.time < SOON
    assert (ended.exit_code, ended.task, ended.try_id) == (-signal.SIGKILL, 1, 0)
    assert ended.executor == "alder"


def test_a_manager_that_dies_is_replaced_in_its_block_and_its_tasks_run_again(running):
    futures = [apps.spin(number, 1.0) for number in range(4)]
    pids = until(lambda: managers(running))
    time.sleep(0.5)
    killed = time.time()
    os.kill(pids[0], signal.SIGKILL)
    (ended,) = until(lambda: said(running, ManagerEnded))
    assert ended.time - killed < SOON
    assert [future.result(timeout=100) for future in futures] == [0, 1, 4, 9]
    assert (ended.exit_code, ended.pid) == (-signal.SIGKILL, pids[0])
    assert set(running.kernel.executors["alder"].blocks_to_job_id) == {"0"}, "the block was replaced"


def managers(program):
    """Process ids of the pools, below the supervisors."""
    found = marked_processes(str(program.kernel.run_id))
    return [each.pid for each in found if each.cmdline()[1:2] and each.cmdline()[1].endswith("node/pool.py")]


def test_nothing_is_left_when_the_program_is_killed(tmp_path):
    code = f"""
import parsl, sys, time
from pathlib import Path
from parsl.providers import LocalProvider
from parsl import Config, HighThroughputExecutor
from parsl_diaspora import resilient
from tests.integration import apps
config = Config(executors=[HighThroughputExecutor(
    label="alder", address="127.0.0.1", max_workers_per_node=2, cores_per_worker=0.01,
    provider=LocalProvider(init_blocks=1, max_blocks=1))], run_dir="{tmp_path}/runinfo", strategy="none")
kernel = parsl.load(resilient(config, fabric="file:{tmp_path}/log"))
print(kernel.run_id, apps.spin(1, 0.0).result(), flush=True)
apps.spin(2, 600.0)
time.sleep(600)
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    program = subprocess.Popen(
        [sys.executable, "-c", code], env=environ, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    with program:
        run = program.stdout.readline().split()[0]
        children = psutil.Process(program.pid).children()
        interchanges = [each.pid for each in children if "interchange" in " ".join(each.cmdline())]
        assert interchanges
        assert len(marked_processes(run)) >= 4  # a supervisor, its pool, workers
        program.kill()
        began = time.monotonic()
        until(lambda: not marked_processes(run))
        assert time.monotonic() - began < 30
        until(lambda: not any(kernel.is_alive(pid) for pid in interchanges))
