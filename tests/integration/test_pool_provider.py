"""Real blocks of this host, under one executor, from several members of a pool that come to grief."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from parsl.providers import LocalProvider
from parsl.providers.errors import SubmitException

from parsl_diaspora import ResilientPoolProvider
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    MemberFailed,
    MemberRecovered,
    PlaceHeld,
    StatusUnknown,
    SubmissionRefused,
)
from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.testing.processes import find, worker_init
from tests.integration import apps
from tests.integration.conftest import ROOT
from tests.integration.looking import LONG, of, until


class Moody(LocalProvider):
    """A site whose scheduler, and whose nodes, do what the test says."""

    status_polling_interval = 1

    def __init__(self, worker_init="", rejects="", down="", lies=False):
        super().__init__(worker_init=worker_init)
        self.rejects, self.down, self.lies = rejects, down, lies
        self.submissions = 0

    def submit(self, command, tasks_per_node, job_name="job"):
        self.submissions += 1
        if self.rejects:
            raise SubmitException(job_name, "no id", stdout="", stderr=self.rejects, retcode=1)
        return super().submit(command, tasks_per_node, job_name)

    def status(self, job_ids):
        if self.down:
            raise SubmitException("squeue", self.down, stderr=self.down, retcode=1)
        return super().status(job_ids)


def pooled(program, *, members=("oak", "elm"), blocks=2, most=4, also=None, **options):
    """Arguments for an executor over moody sites, and the sites."""
    sites = {
        name: Moody(
            worker_init=worker_init(program.mark, name, {"PYTHONPATH": str(ROOT)})
            + f"\n{(also or {}).get(name, '')}\n"
        )
        for name in members
    }
    options = {"breaker_rest": 2.0, "submissions_per_minute": 30, "start_grace": 5.0, **options}
    pool = ResilientPoolProvider(sites, init_blocks=blocks, max_blocks=most, **options)
    return sites, {"provider": pool}


def load(program, arguments, **settings):
    executor = program.pool("alder", **arguments)
    return program.load(executor, config={"strategy": "simple"}, **settings).executors["alder"]


def members_of(executor):
    """Members of blocks that have managers now, each as often as it has."""
    jobs = executor.blocks_to_job_id
    return sorted(jobs[each["block_id"]].partition("/")[0] for each in executor.connected_managers())


def kill_site(program, site):
    """Kill all that runs there at once, as when its nodes go down."""
    for each in find(program.mark):
        if each.site == site:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)


@pytest.mark.timeout(2 * LONG)
def test_blocks_come_from_all_members_and_are_told_apart(program):
    _, arguments = pooled(program)
    executor = load(program, arguments)
    until(lambda: members_of(executor) == ["elm", "oak"])
    assert [apps.spin(n, 0.1).result(timeout=LONG) for n in range(4)] == [0, 1, 4, 9]
    assert {each.running for each in executor.provider.health().values()} == {1}
    events = program.events()
    assert {event.job.partition("/")[0] for event in of(events, BlockSeen)} == {"oak", "elm"}
    assert all(executor.run_id in str(each) for each in (program.directory / "runinfo").rglob("*.exit"))


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_member_whose_blocks_cannot_start_rests_and_the_other_does_the_work(program):
    also = {"oak": "echo 'module: command not found' >&2; exit 127"}
    sites, arguments = pooled(program, also=also, order="listed", blocks=1, most=2)
    executor = load(program, arguments)
    assert [future.result(timeout=LONG) for future in [apps.spin(n, 0.1) for n in range(6)]]
    until(lambda: executor.provider.health()["oak"].breaker != "closed")
    assert not executor.bad_state_is_set
    assert sites["elm"].submissions
    events = program.events()
    lost = [event for event in of(events, BlockLost) if event.job.startswith("oak/")]
    assert any("exit code 127" in event.message for event in lost)
    assert any("module: command not found" in event.message for event in lost)
    assert of(events, MemberFailed)[0].member == "oak"


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_a_scheduler_that_rejects_is_explained_and_comes_back_by_a_trial(program):
    sites, arguments = pooled(program, order="listed", blocks=1)
    sites["oak"].rejects = "sbatch: error: QOSMaxJobsPerUserLimit"
    executor = load(program, arguments)
    assert apps.spin(3, 0.1).result(timeout=LONG) == 9
    assert set(members_of(executor)) == {"elm"}
    for _ in range(2):
        executor.scale_out_facade(1)
    sites["oak"].rejects = ""
    until(lambda: executor.provider.health()["oak"].wait == 0)
    executor.scale_out_facade(1)
    until(lambda: "oak" in members_of(executor))
    events = program.events()
    refused = [event for event in of(events, SubmissionRefused) if event.by_scheduler]
    assert {event.message for event in refused} == {"sbatch: error: QOSMaxJobsPerUserLimit"}
    assert {event.executor for event in refused} == {"alder"}
    assert [event.member for event in of(events, MemberRecovered)] == ["oak"]


@pytest.mark.timeout(2 * LONG)
def test_a_scheduler_that_does_not_answer_costs_no_block_and_no_task(program):
    sites, arguments = pooled(program, most=2)
    executor = load(program, arguments)
    until(lambda: members_of(executor) == ["elm", "oak"])
    for each in sites.values():
        each.down = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    futures = [apps.spin(n, 0.4) for n in range(10)]
    until(lambda: all(each.unknown for each in executor.provider.health().values()))
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(10)]
    assert members_of(executor) == ["elm", "oak"]
    assert [each.submissions for each in sites.values()] == [1, 1]
    for each in sites.values():
        each.down = ""
    until(lambda: not any(each.unknown for each in executor.provider.health().values()))
    events = program.events()
    assert not [event for event in of(events, BlockLost) if not event.expected]
    assert {event.over for event in of(events, StatusUnknown)} == {True, False}
    assert "Unable to contact slurm controller" in of(events, StatusUnknown)[0].message


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_when_all_blocks_of_one_member_die_the_executor_goes_on(program):
    _, arguments = pooled(program, blocks=4)
    executor = load(program, arguments)
    until(lambda: members_of(executor) == ["elm", "elm", "oak", "oak"])
    futures = [apps.spin(n, 1.0) for n in range(16)]
    doomed = [block for block, job in executor.blocks_to_job_id.items() if job.startswith("oak/")]
    kill_site(program, "oak")
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(16)]
    assert not executor.bad_state_is_set
    events = program.events()
    lost = {event.block: event for event in of(events, BlockLost) if not event.expected}
    assert set(lost) >= set(doomed)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_first_blocks_that_the_limit_holds_back_come_later_and_no_block_is_said_to_have_failed(program):
    sites, arguments = pooled(program, members=("oak",), blocks=3, submissions_per_minute=2)
    executor = load(program, arguments)
    until(lambda: len(members_of(executor)) == 2)
    assert executor._owed_blocks == 1
    assert sites["oak"].submissions == 2
    assert not executor._simulated_status


@pytest.mark.timeout(2 * LONG)
def test_when_no_member_gives_a_block_the_tasks_end_with_what_the_schedulers_said(program):
    sites, arguments = pooled(program)
    for name, each in sites.items():
        each.rejects = f"sbatch: error: invalid account at {name}"
    executor = load(program, arguments, block_wait=5, retries={"application": 0}, max_tries=1)
    future = apps.spin(1, 0.0)
    with pytest.raises(DiasporaError) as raised:
        future.result(timeout=LONG)
    assert isinstance(raised.value, NoBlocks)
    assert "invalid account at oak" in str(raised.value)
    assert "invalid account at elm" in str(raised.value)
    assert not executor.bad_state_is_set


@pytest.mark.timeout(2 * LONG)
def test_hosts_that_somebody_holds_are_excluded_from_later_blocks(program):
    _, arguments = pooled(program, blocks=1)
    executor = load(program, arguments)
    until(lambda: members_of(executor))
    executor._live.say(PlaceHeld(node="n17", reason="its fan is broken", owner="me"))
    until(lambda: executor.provider._excluded == {"n17"})
