"""The tests' Slurm is a Slurm: its nodes die, drain and come back, and nothing of it outlives the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.services.slurm import processes
from tests.services.slurm.provider import ROOT
from tests.waiting import becomes, until

pytestmark = pytest.mark.timeout(180)
FOR_LONG = "sleep 600"


def job(slurm, number):
    return next((each for each in slurm.jobs() if each.id == number), None)


def running(slurm, number):
    """The node that a job comes to run on."""
    return until(lambda: (each := job(slurm, number)) and each.state == "RUNNING" and each.nodes)


def sleeps(slurm, node):
    """Whether a job's process is on that node; squeue says RUNNING a moment before."""
    return any(each.name() == "sleep" for each in processes.marked(str(slurm.directory), node))


def test_it_runs_jobs_on_four_nodes(slurm):
    numbers = [slurm.sbatch(FOR_LONG, "--exclusive") for _ in range(5)]
    assert {running(slurm, number) for number in numbers[:4]} == {"n1", "n2", "n3", "n4"}
    assert job(slurm, numbers[4]).state == "PENDING"


def test_a_node_that_is_declared_dead_loses_its_jobs(slurm):
    number = slurm.sbatch(FOR_LONG, "--no-requeue")
    node = running(slurm, number)
    slurm.down(node)
    assert becomes(lambda: job(slurm, number) is None)
    assert slurm.states()[node].startswith("down")
    slurm.resume(node)
    assert becomes(lambda: slurm.states()[node] == "idle")


def test_a_job_of_a_dead_node_may_be_requeued(slurm):
    number = slurm.sbatch(FOR_LONG, "--requeue")
    first = running(slurm, number)
    slurm.down(first)
    assert becomes(lambda: (each := job(slurm, number)) and each.state == "RUNNING" and each.nodes != first)


@pytest.mark.slow
def test_a_node_without_power_takes_all_that_runs_on_it_with_it(slurm):
    number = slurm.sbatch(FOR_LONG, "--no-requeue")
    node = running(slurm, number)
    until(lambda: sleeps(slurm, node))
    slurm.kill_node(node)
    assert processes.marked(str(slurm.directory), node) == []
    assert job(slurm, number).state == "RUNNING"  # nobody knows yet
    assert becomes(lambda: job(slurm, number) is None)
    assert slurm.states()[node].startswith("down")


def test_a_drained_node_ends_its_job_and_takes_no_other(slurm):
    number = slurm.sbatch(
        "while ! test -e done; do sleep 0.1; done", "--exclusive", f"--chdir={slurm.directory}"
    )
    node = running(slurm, number)
    slurm.drain(node)
    others = [slurm.sbatch(FOR_LONG, "--exclusive") for _ in range(4)]
    assert node not in {running(slurm, other) for other in others[:3]}
    assert job(slurm, number).state == "RUNNING"
    (slurm.directory / "done").touch()
    assert becomes(lambda: slurm.states()[node] == "drained")
    assert job(slurm, others[3]).state == "PENDING"
    (slurm.directory / "done").unlink()


def test_an_administrator_requeues_or_cancels_a_job(slurm):
    number = slurm.sbatch("echo began; sleep 600")
    running(slurm, number)
    slurm.requeue(number)
    assert becomes(lambda: job(slurm, number).state == "PENDING")
    slurm.scancel(number)
    assert becomes(lambda: job(slurm, number) is None)


def test_jobs_run_on_while_slurmctld_is_dead_and_are_known_when_it_is_back(slurm):
    before = time.time()
    number = slurm.sbatch(FOR_LONG)
    node = running(slurm, number)
    until(lambda: sleeps(slurm, node))
    slurm.wait_for_save(before)
    slurm.kill_slurmctld()
    assert not slurm.answers()
    assert sleeps(slurm, node)
    slurm.restart_slurmctld()
    assert becomes(lambda: job(slurm, number).state == "RUNNING")


def test_a_partition_may_refuse_jobs_or_let_them_wait(slurm):
    slurm.partition("main", "DRAIN")
    with pytest.raises(AssertionError, match="partition not available"):
        slurm.sbatch(FOR_LONG)
    slurm.partition("main", "DOWN")
    number = slurm.sbatch(FOR_LONG)
    assert becomes(lambda: "PartitionDown" in job(slurm, number).nodes)


ALONE = """
import sys, pathlib, time
from tests.services.slurm.cluster import SlurmCluster
cluster = SlurmCluster(pathlib.Path(sys.argv[1]))
cluster.start()
number = cluster.sbatch("sleep 600")
while not any(each.state == "RUNNING" for each in cluster.jobs()):
    time.sleep(0.05)
print("runs", flush=True)
if len(sys.argv) > 2:
    began = time.monotonic()
    cluster.stop()
    print(time.monotonic() - began, flush=True)
else:
    time.sleep(600)
"""


def alone(directory, *more):
    command = [sys.executable, "-c", ALONE, str(directory), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_it_stops_within_seconds_with_all_its_jobs(slurm, tmp_path):
    with alone(tmp_path, "stop") as tests:
        out, _ = tests.communicate(timeout=100)
    assert float(out.split()[1]) < 5
    assert processes.marked(str(tmp_path)) == []


def test_nothing_of_it_outlives_tests_that_are_killed(slurm, tmp_path):
    with alone(tmp_path) as tests:
        try:
            assert tests.stdout.readline() == "runs\n"
            assert becomes(lambda: len(processes.marked(str(tmp_path))) >= 7)  # six daemons, and a job
        finally:
            os.kill(tests.pid, signal.SIGKILL)
        killed = time.monotonic()
    assert becomes(lambda: processes.marked(str(tmp_path)) == [], 10), time.monotonic() - killed
