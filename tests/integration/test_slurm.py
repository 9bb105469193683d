"""Stock providers and resilient executors on a real Slurm: what happens to jobs and nodes costs no task."""

from __future__ import annotations

import time

import pytest

from parsl_diaspora.testing.processes import worker_init
from tests.integration import apps
from tests.waiting import LONG, becomes, until

pytestmark = pytest.mark.timeout(3 * LONG)
TASKS = range(12)


def pool(slurm, program, **options):
    """A pool of blocks of one node each."""
    blocks = {"init_blocks": 2, "min_blocks": 2, "max_blocks": 2, **options}
    provider = slurm.provider(**blocks, worker_init=worker_init(program.mark, "alder"))
    executor = program.pool("alder", provider=provider)
    program.load(executor, config={"strategy": "simple"}, block_wait=LONG)
    return program.kernel.executors["alder"]


def busy(slurm):
    """Nodes of the jobs that run."""
    return [job.nodes for job in slurm.jobs() if job.state == "RUNNING"]


def started(slurm, executor, blocks=2):
    """Nodes of the blocks, once all of them have managers."""
    until(lambda: len(executor.connected_managers()) == blocks)
    return until(lambda: len(nodes := busy(slurm)) == blocks and nodes)


def results(futures):
    return [future.result(timeout=LONG) for future in futures]


def test_tasks_run_on_its_nodes_and_no_job_is_left(slurm, program):
    executor = pool(slurm, program)
    assert results([apps.spin(number, 0.1) for number in TASKS]) == [number**2 for number in TASKS]
    started(slurm, executor)
    program.close()
    assert becomes(lambda: not slurm.jobs(), 20)


def lose(slurm, how):
    """Do something to the node of one running job."""
    job = next(each for each in slurm.jobs() if each.state == "RUNNING")
    if how == "cancelled by an administrator":
        slurm.scancel(job.id)
    elif how == "requeued":
        slurm.requeue(job.id)
    elif how == "node declared dead":
        slurm.down(job.nodes)
    else:
        slurm.kill_node(job.nodes)


@pytest.mark.parametrize(
    "how",
    [
        "cancelled by an administrator",
        pytest.param("requeued", marks=pytest.mark.slow),
        pytest.param("node declared dead", marks=pytest.mark.slow),
        pytest.param("node without power", marks=pytest.mark.slow),
    ],
)
def test_a_lost_block_costs_no_task(slurm, program, how):
    executor = pool(slurm, program)
    started(slurm, executor)
    futures = [apps.spin(number, 2.0) for number in TASKS]
    until(lambda: any(future.running() for future in futures) or busy(slurm))
    time.sleep(1)  # tasks are within
    lose(slurm, how)
    assert results(futures) == [number**2 for number in TASKS]


def test_a_drained_node_ends_its_tasks(slurm, program):
    executor = pool(slurm, program)
    nodes = started(slurm, executor)
    futures = [apps.spin(number, 1.0) for number in TASKS]
    slurm.drain(nodes[0])
    assert results(futures) == [number**2 for number in TASKS]
    assert sorted(busy(slurm)) == sorted(nodes)
    assert slurm.states()[nodes[0]] in {"draining", "draining@"}


@pytest.mark.slow
def test_tasks_run_on_while_slurmctld_is_dead(slurm, program):
    executor = pool(slurm, program)
    nodes = started(slurm, executor)
    slurm.kill_slurmctld()
    assert results([apps.spin(number, 1.0) for number in TASKS]) == [number**2 for number in TASKS]
    slurm.restart_slurmctld()
    assert results([apps.spin(number, 0.1) for number in TASKS]) == [number**2 for number in TASKS]
    assert set(busy(slurm)) >= set(nodes)
