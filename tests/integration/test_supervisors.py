"""What is left of a real program that is killed: no supervisor, pool, worker or interchange."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from parsl_diaspora.executors.sweep import marked_processes
from parsl_diaspora.monitoring.node import kernel
from tests.waiting import until


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
