"""Real programs on a real Slurm, whose nodes and controller come and go, over two members of a pool."""

from __future__ import annotations

import pytest

from parsl_diaspora import ResilientPoolProvider
from parsl_diaspora.events import BlockLost, BlockSeen, StatusUnknown
from parsl_diaspora.testing.processes import worker_init
from tests.integration import apps
from tests.integration.conftest import ROOT
from tests.integration.looking import LONG, of, until
from tests.services.slurm.fixtures import slurm, slurm_module

__all__ = ["slurm", "slurm_module"]


def pooled(program, slurm, *, blocks=2, also="", **options):
    """An executor over two members on the same partition, whose blocks have a node each."""
    begin = worker_init(program.mark, "alder", {"PYTHONPATH": str(ROOT)})
    members = {
        name: slurm.provider(worker_init=f"{begin}\n{also}", scheduler_options="#SBATCH --no-requeue")
        for name in ("left", "right")
    }
    pool = ResilientPoolProvider(
        members, init_blocks=blocks, max_blocks=blocks, submissions_per_minute=20, **options
    )
    return program.load(program.pool("alder", provider=pool), config={"strategy": "simple"}).executors[
        "alder"
    ]


def members_of(executor):
    jobs = executor.blocks_to_job_id
    return sorted(jobs[each["block_id"]].partition("/")[0] for each in executor.connected_managers())


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_campaign_ends_though_a_node_goes_down_and_the_block_is_told_from_one_that_ended(program, slurm):
    executor = pooled(program, slurm, unknown_grace=20.0)
    until(lambda: members_of(executor) == ["left", "right"])
    futures = [apps.spin(n, 1.0) for n in range(16)]
    job = executor.blocks_to_job_id["0"]
    node = executor.provider._job(job).record.node
    slurm.kill_node(node)
    slurm.down(node)
    assert [future.result(timeout=2 * LONG) for future in futures] == [n * n for n in range(16)]
    until(lambda: executor.provider.why(job))
    assert executor.provider.why(job).partition(":")[0] in {"NODE_FAIL", "CANCELLED"}
    until(lambda: executor._live.picture.surroundings.block("alder", "0").state in {"FAILED", "CANCELLED"})
    slurm.resume(node)
    lost = [event for event in of(program.events(), BlockLost) if not event.expected]
    assert any(event.job == job and event.message for event in lost)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_controller_that_is_killed_costs_no_block_and_no_task(program, slurm):
    executor = pooled(program, slurm)
    until(lambda: members_of(executor) == ["left", "right"])
    futures = [apps.spin(n, 1.0) for n in range(12)]
    slurm.kill_slurmctld()
    until(lambda: all(each.unknown for each in executor.provider.health().values()))
    slurm.restart_slurmctld()
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(12)]
    until(lambda: not any(each.unknown for each in executor.provider.health().values()))
    assert len(executor.blocks_to_job_id) == 2
    events = program.events()
    assert not [event for event in of(events, BlockLost) if not event.expected]
    assert of(events, StatusUnknown)[-1].over
    assert len({event.block for event in of(events, BlockSeen)}) == 2
