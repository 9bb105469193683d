"""A full queue, and the end of a walltime, on a real Slurm: tasks wait, and none is lost."""

from __future__ import annotations

import concurrent.futures

import pytest

from parsl_diaspora import ResilientPoolProvider
from parsl_diaspora.events import BlockLost
from parsl_diaspora.testing.processes import worker_init
from tests.integration import apps
from tests.integration.looking import LONG, of, until


def pooled(program, slurm, **options):
    """An executor with one block of one node, renewed while there is work."""
    init = worker_init(program.mark, "alder")
    pool = ResilientPoolProvider(
        {"main": slurm.provider(worker_init=init, **options)},
        init_blocks=1,
        max_blocks=1,
        submissions_per_minute=20,
    )
    executor = program.pool("alder", provider=pool)
    return program.load(executor, config={"strategy": "simple"}).executors["alder"]


@pytest.mark.timeout(3 * LONG)
def test_a_full_queue_is_waited_for_and_costs_no_submission(program, slurm):
    others = [slurm.sbatch("sleep 600", "--exclusive") for _ in slurm.nodes]
    until(lambda: all(job.state == "RUNNING" for job in slurm.jobs()))
    pooled(program, slurm)
    until(lambda: len(slurm.jobs()) == len(others) + 1)
    future = apps.spin(7, 0.0)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=6)  # three looks at the queue
    (block,) = [job for job in slurm.jobs() if job.id not in others]
    assert (block.state, block.nodes) == ("PENDING", "(Resources)")
    slurm.scancel(others[0])
    assert future.result(timeout=LONG) == 49
    assert not of(program.events(), BlockLost)


@pytest.mark.slow
@pytest.mark.timeout(4 * LONG)
def test_a_block_whose_walltime_is_over_is_told_from_one_that_ended_and_its_task_runs_again(program, slurm):
    executor = pooled(program, slurm, walltime="00:01:00")
    until(executor.connected_managers)
    job = executor.blocks_to_job_id["0"]
    futures = [
        apps.spin(number, 12.0) for number in range(14)
    ]  # two workers: longer than a minute and a half
    assert [future.result(timeout=3 * LONG) for future in futures] == [n * n for n in range(14)]
    assert executor.provider.why(job).startswith("TIMEOUT")
    lost = {event.job: event.message for event in of(program.events(), BlockLost)}
    assert lost[job].startswith("TIMEOUT")
