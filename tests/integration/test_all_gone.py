"""Promise R6: when every place that a pool has is gone for good, each task ends soon, and says why.

None waits for ever, what befell the places is not charged to the app, and no retry goes on without end.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import DecisionMade, TaskEnded, TryFailed
from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.testing.processes import worker_init
from tests.integration import apps, pool_apps
from tests.integration.conftest import ROOT
from tests.integration.looking import LONG, of, until
from tests.integration.test_pool_executor import connected
from tests.integration.test_pool_executor import load as load_pool
from tests.integration.test_pool_provider import Moody, kill_site, load, members_of, pooled

CLOSED = "sbatch: error: the site is closed for good"
TRIES = 3
NO_RETRIES = {"application": 0}  # of the app's own: one failure that is charged to it ends the task


def running(program):
    """Tasks that run now, as the program knows."""
    managers = list(program.kernel.memoizer.session.live.picture.managers.values())
    return sum(len(each.running) for each in managers)


def check_ends(events, tasks):
    """Each task has one end, after no more tries than may be, none of them charged to the app."""
    ended = Counter(event.task for event in of(events, TaskEnded))
    assert ended == Counter(range(tasks))
    failed = Counter(event.task for event in of(events, TryFailed))
    assert set(failed) == set(range(tasks))
    assert max(failed.values()) <= TRIES
    decisions = of(events, DecisionMade)
    assert "application" not in {event.budget for event in decisions}
    assert {event.action for event in decisions} > {"fail"}, "it was tried again before"


@pytest.mark.slow
@pytest.mark.timeout(3 * LONG)
def test_all_members_of_a_pool_provider(program, check_story):
    sites, arguments = pooled(program)
    executor = load(program, arguments, block_wait=4, retries=NO_RETRIES, max_tries=TRIES, retry_delay=0.5)
    until(lambda: members_of(executor) == ["elm", "oak"])
    futures = [apps.tell_nodes(n, 120.0) for n in range(6)]
    until(lambda: len(executor.connected_managers()) == 2 and running(program) >= 2)
    for site in sites.values():
        site.rejects = CLOSED
    since = time.monotonic()
    for site in sites:
        kill_site(program, site)
    errors = [future.exception(timeout=LONG) for future in futures]
    assert time.monotonic() - since < LONG
    assert {type(error) for error in errors} == {NoBlocks}
    assert all(CLOSED in str(error) and error.hint for error in errors)
    events = program.events()
    check_story(events)
    check_ends(events, len(futures))


@pytest.mark.timeout(3 * LONG)
def test_all_sites_that_the_pool_controller_holds(program, check_story):
    provider = Moody(worker_init=worker_init(program.mark, "alder", {"PYTHONPATH": str(ROOT)}))
    provider.init_blocks, provider.max_blocks = 1, 4
    pool = {"sites": {"alder": {"max_nodes": 2}}, "min_nodes": 2, "orphans": "leave"}
    settings = {"block_wait": 4, "retries": NO_RETRIES, "max_tries": TRIES, "retry_delay": 0.5}
    executor = program.load(program.pool("alder", provider=provider), pool=pool, **settings)
    executor = executor.executors["alder"]
    until(lambda: len(executor.connected_managers()) == 2)
    futures = [apps.tell_nodes(n, 120.0) for n in range(6)]
    until(lambda: running(program) >= 2)
    provider.rejects = CLOSED
    kill_site(program, "alder")
    errors = [future.exception(timeout=LONG) for future in futures]
    assert all(isinstance(error, DiasporaError) and error.hint for error in errors)
    assert all(CLOSED in str(error) for error in errors)
    events = program.events()
    check_story(events)
    check_ends(events, len(futures))


@pytest.mark.timeout(3 * LONG)
def test_all_members_of_a_pool_of_executors(program, check_story):
    settings = {"retries": NO_RETRIES, "max_tries": TRIES, "retry_delay": 0.5, "interchange_restarts": 0}
    pool = load_pool(program, program.pool("alder"), program.pool("birch"), settings=settings, replacements=0)
    connected(pool)
    futures = [pool_apps.square(n, 120.0) for n in range(6)]
    until(lambda: running(program) >= 4)
    since = time.monotonic()
    for seat in pool.seats.values():
        seat.executor.interchange_proc.kill()
    errors = [future.exception(timeout=LONG) for future in futures]
    assert time.monotonic() - since < LONG
    assert all("interchange" in str(error) and "is lost" in str(error) for error in errors)
    events = program.events()
    check_story(events)
    check_ends(events, len(futures))
