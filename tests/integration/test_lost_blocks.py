"""All blocks fail at once, or none ever comes: tasks wait as long as that may help, and all of them end."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest
from parsl.providers import LocalProvider

from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.testing.processes import find, worker_init
from tests.integration import apps
from tests.integration.conftest import ROOT
from tests.integration.looking import LONG, failures, until


class QuickProvider(LocalProvider):
    """Tells how its blocks are each second; stock does so each five."""

    status_polling_interval = 1


def quick(program, label="alder", *, init=1, most=1, worker_init_also=""):
    """Arguments for a pool whose blocks are looked at often."""
    begin = worker_init(program.mark, label, {"PYTHONPATH": str(ROOT)})
    return {
        "provider": QuickProvider(
            init_blocks=init, min_blocks=0, max_blocks=most, worker_init=f"{begin}\n{worker_init_also}"
        )
    }


def kill_pools(program):
    """Kill managers and what looks after them, which would start others in the same blocks."""
    managers = [each for each in find(program.mark) if each.role == "manager"]
    for each in managers:
        os.kill(each.parent, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)
    return managers


@pytest.mark.timeout(2 * LONG)
def test_when_all_blocks_fail_at_once_and_new_ones_do_not_start_for_a_time_all_tasks_end_well(
    program, check_story
):
    allowed = program.directory / "allowed"
    allowed.touch()
    gate = f"test -e {allowed} || exit 7"
    pool = program.pool("alder", **quick(program, init=2, most=2, worker_init_also=gate))
    executor = program.load(pool, block_start_failures=1).executors["alder"]
    assert apps.spin(1, 0.0).result(timeout=LONG) == 1
    until(lambda: len(executor.connected_managers()) == 2)
    futures = [apps.spin(n, 0.5) for n in range(12)]
    allowed.unlink()
    assert len(kill_pools(program)) == 2
    until(lambda: executor._keeper.number > 1)  # the tasks that waited were ended, and are forgotten
    assert not executor.bad_state_is_set
    allowed.touch()
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(12)]
    events = program.events()
    check_story(events)
    assert "NoBlocks" in failures(events)


@pytest.mark.timeout(2 * LONG)
def test_tasks_for_a_pool_that_never_gets_a_block_end_with_the_reason(program):
    executor = program.load(
        program.pool("alder", **quick(program, init=0, most=0)), block_wait=2, retries={"application": 0}
    ).executors["alder"]
    futures = [apps.spin(n, 0.0) for n in range(3)]
    for future in futures:
        with pytest.raises(NoBlocks, match="had no block, neither running nor queued, for 2 s"):
            future.result(timeout=30)
    assert executor.is_without_blocks
    assert not executor.bad_state_is_set


@pytest.mark.timeout(2 * LONG)
def test_tasks_for_a_pool_that_gets_its_block_later_wait_for_it(program):
    executor = program.load(program.pool("alder", **quick(program, init=0))).executors["alder"]
    future = apps.spin(6, 0.0)
    time.sleep(1)
    assert executor.connected_managers() == []
    executor.scale_out_facade(1)
    assert future.result(timeout=LONG) == 36


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_tasks_of_a_pool_without_blocks_go_to_the_one_that_has_some(program, check_story):
    program.load(program.pool("alder", **quick(program, init=0, most=0)), program.pool("birch"), block_wait=1)
    futures = [apps.spin(n, 0.0) for n in range(8)]
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(8)]
    check_story(program.events())
