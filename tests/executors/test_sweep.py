"""What a killed manager leaves on this host is found by its mark and ended; nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

from parsl_diaspora.executors.sweep import EXECUTOR_MARK, mark_of, marked_processes, sweep
from parsl_diaspora.providers.local_jobs import MARK

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
)


def start(mark, program=STUBBORN, executor=""):
    environment = {**os.environ, MARK: mark, EXECUTOR_MARK: executor}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_marked_processes_are_ended_and_others_are_not():
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    left, foreign = start(mine), start(other)
    try:
        assert [process.pid for process in marked_processes(mine)] == [left.pid]
        assert sweep(mine, timeout=0.2) == 1
        assert left.wait(timeout=5) == -signal.SIGKILL
        assert foreign.poll() is None
        assert marked_processes(mine) == []
    finally:
        for process in (left, foreign):
            process.kill()
            process.wait()
            process.stdout.close()


def test_processes_that_go_by_themselves_are_waited_for_and_not_killed():
    mark = uuid.uuid4().hex
    going = start(mark, "import time; print(flush=True); time.sleep(0.3)")
    try:
        assert sweep(mark, timeout=10.0) == 0
    finally:
        assert going.wait(timeout=5) == 0
        going.stdout.close()


def test_nothing_to_sweep_takes_no_time():
    assert sweep(uuid.uuid4().hex, timeout=5.0) == 0


def test_what_another_executor_of_the_run_has_started_is_left_alone():
    run = uuid.uuid4().hex
    alder, birch = (start(run, executor=mark_of(f"/runs/000/{label}")) for label in ("alder", "birch"))
    try:
        assert sweep(run, timeout=0.2, executor=mark_of("/runs/000/alder")) == 1
        assert alder.wait(timeout=5) == -signal.SIGKILL
        assert birch.poll() is None
    finally:
        for process in (alder, birch):
            process.kill()
            process.wait()
            process.stdout.close()
