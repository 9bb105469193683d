"""A pool of real blocks on this host: held while idle, larger with the work, and smaller after it."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil
import pytest

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import (
    BlockDraining,
    BlockRequested,
    PoolDeficitHealed,
    TryFailed,
)
from parsl_diaspora.testing.processes import find
from tests.integration import apps
from tests.integration.looking import LONG, until
from tests.integration.test_lost_blocks import quick

POOL = {"sites": {"alder": {"max_nodes": 3}}, "min_nodes": 2, "idle": "6s", "out_after": "1s"}


def kill_block(program, block):
    """Its manager and what looks after it; a node that is gone."""
    for each in find(program.mark):
        if each.role == "manager" and f"--block_id={block}" in psutil.Process(each.pid).cmdline():
            os.kill(each.parent, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)


def managers(executor):
    return {each["block_id"] for each in executor.connected_managers()}


@pytest.mark.timeout(3 * LONG)
def test_a_pool_is_held_while_idle_grows_with_the_work_and_shrinks_without_killing_any(program):
    pool = program.pool("alder", workers=1, **quick(program, init=1, most=4))
    executor = program.load(pool, pool=POOL).executors["alder"]
    until(lambda: len(managers(executor)) == 2)  # one was there from the start, the other one asked for
    (lost, _) = sorted(managers(executor))
    kill_block(program, lost)
    until(lambda: len(managers(executor) - {lost}) == 2)
    futures = [apps.spin(number, 2.0) for number in range(20)]  # longer than a block needs to come
    until(lambda: len(managers(executor)) == 3)
    assert [future.result(timeout=LONG) for future in futures] == [number**2 for number in range(20)]
    until(lambda: len(managers(executor)) == 2)
    events = program.events()
    asked = [event for event in events if isinstance(event, BlockRequested)]
    assert len(asked) == 3
    assert asked[-1].reason.startswith("nodes for the work: 2 of")
    assert [event for event in events if isinstance(event, TryFailed)] == []
    drained = [event for event in events if isinstance(event, BlockDraining)]
    assert [event.running for event in drained] == [0]
    assert {"nodes in all", "nodes for the work"} <= {
        event.what for event in events if isinstance(event, PoolDeficitHealed)
    }


def test_a_pool_of_a_site_that_there_is_not_is_refused_as_it_is_loaded(program):
    with pytest.raises(SettingsError, match=r"site 'aldre', which there is not\. Did you mean 'alder'"):
        program.load(program.pool("alder"), pool={"sites": {"aldre": {}}})
