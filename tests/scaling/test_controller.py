"""The controller in a simulated world: what it holds, heals, lets go, and says."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from parsl_diaspora import PoolSpec, SiteSpec
from parsl_diaspora.events import (
    BlockDraining,
    BlockLost,
    BlockRefused,
    BlockReleased,
    BlockRequested,
    BlockSeen,
    PoolDeficitHealed,
    PoolDeficitSeen,
    TryStarted,
)
from parsl_diaspora.scaling.controller import Controller
from parsl_diaspora.scaling.simulator import Scenario, simulate
from parsl_diaspora.scaling.simulator.cluster import Cluster
from parsl_diaspora.scaling.simulator.world import World
from parsl_diaspora.scaling.sites import Refused

ONE = {"cpu": SiteSpec(max_nodes=8)}
STEADY = {"wait": "20s", "spread": 0.0, "start": "5s"}


def run(spec, **scenario):
    said = []
    scenario.setdefault("sites", dict.fromkeys(spec.sites, STEADY))
    outcome = simulate(spec, Scenario.read(scenario), listener=said.append)
    return outcome, said


def of(said, kind):
    return [event for event in said if isinstance(event, kind)]


def test_what_was_asked_for_is_held_from_the_start_and_while_nothing_is_to_be_done():
    outcome, said = run(PoolSpec(sites=ONE, min_nodes=4), hours=2)
    assert (outcome.held, outcome.requests, outcome.released) == (1.0, 4, 0)
    assert outcome.first_held < 30
    assert {event.what for event in of(said, PoolDeficitHealed)} == {"nodes in all", "locations"}


def test_each_lost_block_is_replaced_while_the_queue_is_empty():
    outcome, _ = run(PoolSpec(sites=ONE, min_nodes=4), losses={"every": "5m"}, seed=3)
    assert outcome.losses > 5
    assert outcome.requests == 4 + outcome.losses
    assert max(outcome.heals) < 2 * 30, (
        "the queue, the start, finding it, and one more that was lost meanwhile"
    )


def test_with_spare_nodes_what_was_asked_for_is_held_nearly_always():
    with_spares, _ = run(PoolSpec(sites=ONE, min_nodes=4, availability=0.99), losses={"every": "2m"}, seed=5)
    without, _ = run(PoolSpec(sites=ONE, min_nodes=4), losses={"every": "2m"}, seed=5)
    assert with_spares.held > 0.97
    assert without.held < 0.9
    assert with_spares.node_hours < 2 * without.node_hours


def test_the_pool_grows_with_the_work_and_shrinks_after_it_and_nothing_is_killed():
    spec = PoolSpec(sites=ONE, min_nodes=1, idle="60s")
    outcome, said = run(spec, work=[{"at": "5m", "tasks": 40, "seconds": 60}])
    assert (outcome.done, outcome.lost, outcome.killed) == (40, 0, 0)
    assert len(of(said, BlockRequested)) == 8
    assert outcome.released == 7
    assert all(event.running == 0 for event in of(said, BlockReleased))
    assert outcome.node_hours < 3.0


def test_idle_nodes_go_one_by_one_at_the_tail_while_the_others_still_work():
    spec = PoolSpec(sites=ONE, idle="60s")
    work = [{"tasks": 4, "seconds": 100}, {"tasks": 1, "seconds": 2000, "func": "long"}]
    outcome, said = run(spec, work=work)
    ended = [event.time for event in of(said, BlockReleased)]
    assert (outcome.done, outcome.killed, len(ended)) == (5, 0, 5)
    assert min(ended) < max(ended) - 1000


def test_a_load_that_comes_and_goes_faster_than_nodes_may_idle_moves_nothing():
    spec = PoolSpec(sites=ONE, idle="3m")
    work = [{"tasks": 8, "seconds": 30, "every": "2m"}]
    outcome, _ = run(spec, hours=3, work=work)
    assert (outcome.requests, outcome.released) == (8, 0)


def test_demand_that_does_not_last_asks_for_nothing():
    spec = PoolSpec(sites=ONE, min_nodes=1, out_after="20s")
    outcome, _ = run(spec, work=[{"at": "10m", "tasks": 3, "seconds": 2, "every": "5m"}])
    assert outcome.requests == 1


def test_no_node_is_asked_for_that_would_come_after_the_work_has_ended():
    spec = PoolSpec(sites=ONE, min_nodes=2)
    slow = {"cpu": {"wait": "30m", "spread": 0.0}}
    work = [{"at": "40m", "tasks": 2, "seconds": 60}, {"at": "45m", "tasks": 8, "seconds": 60}]
    outcome, _ = run(spec, hours=2, work=work, sites=slow)
    assert outcome.done == 10
    assert outcome.requests == 2


def test_an_outage_of_one_location_is_made_good_at_the_other():
    sites = {"a": SiteSpec(max_nodes=8, location="west"), "b": SiteSpec(max_nodes=8, location="east")}
    outcome, said = run(
        PoolSpec(sites=sites, min_nodes=6),
        outages=[{"location": "west", "at": "20m", "lasts": "2h"}],
        hours=1,
    )
    assert outcome.losses == 3
    assert outcome.held > 0.95
    assert [event.site for event in of(said, BlockRequested)].count("b") == 6, "as west's queue does not move"


def test_blocks_that_end_are_replaced_before_they_do():
    spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=8, walltimes=("20m", "30m"))}, min_nodes=2)
    outcome, _ = run(spec, hours=3)
    assert outcome.held > 0.99
    assert outcome.killed == 0


def test_no_task_is_begun_on_a_block_that_ends_before_it():
    """Without it each block would take two tasks of five minutes with it: it ends after 26."""
    spec = PoolSpec(
        sites={"cpu": SiteSpec(max_nodes=8, walltimes=("26m",))}, idle="30m", walltime_margin="0s"
    )
    outcome, said = run(spec, hours=6, work=[{"at": "1m", "tasks": 150, "seconds": 300}])
    drained = [event for event in of(said, BlockDraining) if "no task that waits" in event.reason]
    assert outcome.done == 150
    assert len(drained) > 8
    assert outcome.lost <= 8, "those of the first blocks, when nobody knew how long a task takes"


def test_nobody_is_asked_more_often_than_allowed_though_all_is_refused():
    spec = PoolSpec(sites=ONE, min_nodes=8, requests_per_minute=3)
    outcome, said = run(spec, sites={"cpu": {"refuses": 1.0}})
    assert outcome.most_requests <= 3
    assert outcome.requests < 20, "they come ever less often"
    assert {event.message for event in of(said, BlockRefused)} == {"The batch system refused the job."}
    assert "refused" in {event.because for event in of(said, PoolDeficitSeen)}


@pytest.fixture
def refusing():
    """A site that works with one block, and refuses all others until it is told not to."""
    world = World(1)
    spec = PoolSpec(sites=ONE, min_nodes=2)
    cluster = Cluster(world, spec, Scenario.read({"sites": {"cpu": STEADY}}))
    grant = cluster.request

    def refuse(site, *, walltime):
        if cluster.blocks:
            cluster.requests[site].append(world.since_start)
            raise Refused("Too many jobs.")
        return grant(site, walltime=walltime)

    cluster.request = refuse
    controller = Controller(spec, cluster, world.picture, world.say, seed=1)
    world.listen(controller.fold)
    world.every(2.0, lambda: controller.step(world.now))
    cluster.grant = grant
    return world, cluster


def test_a_site_that_refuses_is_asked_ever_less_often_though_a_block_of_it_works(refusing):
    world, cluster = refusing
    world.go_on(3600.0)
    asked = cluster.requests["cpu"]
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert any(block.nodes for block in cluster.blocks.values()), "one works all the time"
    assert len(asked) < 20
    assert waits[-1] > 600
    assert waits[1] < 30


def test_once_a_further_block_has_come_to_work_the_waits_begin_anew(refusing):
    world, cluster = refusing
    world.go_on(3600.0)
    cluster.grant("cpu", walltime=None)  # one that somebody else has asked for
    world.go_on(60.0)
    *_, second = sorted(cluster.blocks)
    cluster.release(*second, "asked")
    since = world.since_start
    world.go_on(1800.0)
    first, again, *_ = [at for at in cluster.requests["cpu"] if at > since]
    assert again - first < 30


def test_each_request_and_each_release_says_why():
    spec = PoolSpec(sites=ONE, min_nodes=2, idle="60s")
    _, said = run(spec, losses={"every": "10m"}, work=[{"at": "10m", "tasks": 30, "seconds": 30}])
    for event in of(said, BlockRequested):
        assert event.reason.startswith(("nodes in all", "locations", "nodes for the work"))
    assert all("no work" in event.reason for event in of(said, BlockDraining))


def test_what_is_lacking_is_said_once_a_cause_and_healed():
    _, said = run(PoolSpec(sites=ONE, min_nodes=4), losses={"every": "10m"}, seed=2, hours=1)
    seen = of(said, PoolDeficitSeen)
    lost = len([event for event in of(said, BlockLost) if not event.expected])
    assert len(seen) <= 4 + 2 * lost
    assert len(of(said, PoolDeficitHealed)) >= 1
    waits = [event.expected for event in seen if event.because == "queue waits" and event.expected]
    assert waits, "and when it is expected, once a queue has been seen"
    assert all(0 < each <= 60 for each in waits)


def test_a_scheduler_that_does_not_answer_causes_neither_requests_nor_losses():
    """The step fails, and is taken anew: what is not known changes nothing."""
    world = World(1)
    spec = PoolSpec(sites=ONE, min_nodes=2)
    cluster = Cluster(world, spec, Scenario.read({"sites": {"cpu": STEADY}}))
    controller = Controller(spec, cluster, world.picture, world.say, seed=1)
    world.listen(controller.fold)
    world.every(2.0, lambda: controller.step(world.now))
    world.go_on(60.0)
    answers, cluster.offers = cluster.offers, dict
    world.go_on(600.0)
    assert len(cluster.requests["cpu"]) == 2
    cluster.offers = answers
    world.go_on(60.0)
    assert len(cluster.requests["cpu"]) == 2


def test_nothing_is_asked_for_while_an_executor_has_blocks_of_which_nobody_has_heard():
    """As its first blocks, which Parsl asks for by itself."""
    world = World(1)
    spec = PoolSpec(sites=ONE, min_nodes=2)
    cluster = Cluster(world, spec, Scenario.read({"sites": {"cpu": STEADY}}))
    controller = Controller(spec, cluster, world.picture, world.say, seed=1)
    told = cluster.offers
    cluster.offers = lambda: {
        site: msgspec.structs.replace(offer, blocks=1) for site, offer in told().items()
    }
    controller.step(world.now)
    assert cluster.requests["cpu"] == []
    world.listen(controller.fold)
    world.say(BlockSeen(executor="cpu", block="99", state="PENDING"))
    controller.step(world.now)
    assert len(cluster.requests["cpu"]) == 1


def test_a_block_is_not_given_back_while_a_try_that_was_on_its_way_runs_there():
    world = World(1)
    spec = PoolSpec(sites=ONE, idle="30s", min_nodes=1)
    cluster = Cluster(world, spec, Scenario.read({"sites": {"cpu": STEADY}}))
    controller = Controller(spec, cluster, world.picture, world.say, seed=1)
    released = []
    world.listen(controller.fold)
    world.listen(lambda event: released.append(event) if isinstance(event, BlockReleased) else None)
    cluster.request("cpu", walltime=None)
    cluster.request("cpu", walltime=None)
    world.every(2.0, lambda: controller.step(world.now))
    while not cluster.blocks["cpu", "0"].draining:
        world.go_on(1.0)
    place = {"executor": "cpu", "block": "0", "manager": "0.0", "node": "0.0"}
    world.say(TryStarted(task=1, try_id=0, **place))
    world.go_on(300.0)
    assert released == []


@pytest.mark.parametrize("seed", range(6))
def test_under_losses_outages_and_bursts_no_task_is_lost_for_good_and_none_is_killed_by_shrinking(seed):
    sites = {"a": SiteSpec(max_nodes=12, location="west"), "b": SiteSpec(max_nodes=12, location="east")}
    spec = PoolSpec(sites=sites, min_nodes=2, min_locations=2, idle="90s")
    outcome, _ = run(
        spec,
        seed=seed,
        hours=3,
        sites={name: {"workers": 2, "refuses": 0.2} for name in sites},
        losses={"every": "4m"},
        outages=[{"location": "west", "at": "50m", "lasts": "20m"}],
        work=[{"at": "10m", "tasks": 60, "seconds": 45, "every": "40m"}],
    )
    assert outcome.done == outcome.submitted
    assert outcome.killed == 0
    assert outcome.most_requests <= spec.requests_per_minute
