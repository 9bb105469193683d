"""What is asked for, of whom, and why."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora import PoolSpec, SiteSpec
from parsl_diaspora.scaling.budget import Budget
from parsl_diaspora.scaling.choice import Walltimes
from parsl_diaspora.scaling.counts import Count
from parsl_diaspora.scaling.demand import Demand
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.pace import Pace
from parsl_diaspora.scaling.planner import Planner
from parsl_diaspora.scaling.simulator.measure import most_within
from parsl_diaspora.scaling.sites import Hole, Offer
from parsl_diaspora.scaling.spares import spares
from tests.events.strategies import calm


def plan(spec, held=None, *, offers=None, forecast=None, work=None, spare=0, now=0.0, planner=None):
    counts = {
        site: Count(held=nodes, paid=nodes)
        for site, nodes in {**dict.fromkeys(spec.sites, 0), **(held or {})}.items()
    }
    offers = {
        site: Offer(executor=site.partition("/")[0], **(offers or {}).get(site, {})) for site in spec.sites
    }
    planner = planner or Planner(spec, forecast or Forecast(), Demand(), Budget(spec), seed=1)
    return planner.plan(now, counts, work or {}, offers, spare=lambda sites: spare)


def asked(made):
    return [request.site for request in made.requests]


WEST_EAST = {"a": SiteSpec(max_nodes=8, location="west"), "b": SiteSpec(max_nodes=8, location="east")}


def test_what_is_missing_is_asked_for_and_no_more():
    made = plan(PoolSpec(sites={"cpu": SiteSpec(max_nodes=8)}, min_nodes=4), {"cpu": 1})
    assert asked(made) == ["cpu"] * 3
    assert made.requests[0].reason.startswith("nodes in all: 1 of 4")


def test_nodes_are_spread_over_the_locations():
    assert sorted(asked(plan(PoolSpec(sites=WEST_EAST, min_nodes=4)))) == ["a", "a", "b", "b"]


def test_a_location_of_its_own_comes_before_the_number_in_all():
    made = plan(PoolSpec(sites=WEST_EAST, min_nodes=4, min_locations=2), {"a": 4})
    assert asked(made) == ["b"]
    assert made.requests[0].reason.startswith("locations: 1 of 2")


def test_the_site_that_heals_soonest_is_asked_and_the_others_are_named():
    forecast = Forecast()
    forecast.started("a", waited=900.0)
    forecast.started("b", waited=10.0)
    (first, *_) = plan(PoolSpec(sites=WEST_EAST, min_nodes=2), forecast=forecast).requests
    assert (first.site, first.expected) == ("b", 10.0)
    assert "heals soonest, in 10 s; a would take 900 s" in first.reason


def test_a_hole_in_the_queue_that_fits_makes_a_site_quick():
    forecast = Forecast()
    forecast.started("a", waited=900.0)
    forecast.started("b", waited=60.0)
    offers = {"a": {"holes": (Hole(nodes=2),)}}
    assert asked(plan(PoolSpec(sites=WEST_EAST, min_nodes=1), offers=offers, forecast=forecast)) == ["a"]


def test_of_two_as_quick_the_cheaper_one_is_asked():
    sites = {"dear": SiteSpec(max_nodes=4, cost=2.0), "cheap": SiteSpec(max_nodes=4, cost=1.0)}
    assert asked(plan(PoolSpec(sites=sites, min_nodes=1))) == ["cheap"]


def test_of_two_as_quick_the_one_with_priority_is_asked_and_that_is_said():
    sites = {"dear": SiteSpec(max_nodes=4, cost=2.0, priority=1), "cheap": SiteSpec(max_nodes=4, cost=1.0)}
    (request,) = plan(PoolSpec(sites=sites, min_nodes=1)).requests
    assert request.site == "dear"
    assert "highest priority (1) of those that heal as soon (dear, cheap)" in request.reason


def test_nodes_that_can_do_something_are_asked_for_where_they_are():
    sites = {"cpu": SiteSpec(max_nodes=4), "gpu": SiteSpec(max_nodes=4, capabilities=("gpu",))}
    made = plan(PoolSpec(sites=sites, min_nodes=3, capabilities={"gpu": 1}), {"cpu": 3})
    assert asked(made) == ["gpu"]


def test_blocks_of_several_nodes_are_not_asked_for_once_too_often():
    made = plan(PoolSpec(sites={"cpu": SiteSpec()}, min_nodes=5), offers={"cpu": {"nodes_per_block": 4}})
    assert [request.nodes for request in made.requests] == [4, 4]


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (
            {"opens_in": 30.0, "why": "its breaker is open: sbatch: error: Batch job submission failed"},
            "sbatch: error",
        ),
        ({"opens_in": 30.0}, "asked again in 30 s"),
        ({"nodes_per_block": 16}, "may hold 8 nodes and has 2"),
    ],
)
def test_what_stands_in_the_way_is_told_in_words(offer, words):
    made = plan(
        PoolSpec(sites={"cpu": SiteSpec(max_nodes=8)}, min_nodes=4), {"cpu": 2}, offers={"cpu": offer}
    )
    assert not made.requests
    assert [deficit.what for deficit in made.deficits] == ["nodes in all"]
    assert words in made.obstacles["nodes in all", ""]


def test_a_site_that_may_not_be_asked_leaves_the_work_to_the_others():
    made = plan(PoolSpec(sites=WEST_EAST, min_nodes=4), offers={"a": {"opens_in": 60.0}})
    assert asked(made) == ["b"] * 4


def test_work_never_asks_for_more_than_the_pool_may_hold():
    spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=3)}, requests_per_minute=60)
    assert asked(plan(spec, {"cpu": 1}, work={"cpu": 100})) == ["cpu"] * 2


def test_a_budget_that_is_used_up_ends_the_asking():
    spec = PoolSpec(sites={"cpu": SiteSpec(walltimes=("2h",))}, min_nodes=4, node_hours=5)
    made = plan(spec)
    assert len(made.requests) == 3, "the third one goes beyond, as it could not be known before"
    assert "budget of 5 node-hours" in made.obstacles["nodes in all", ""]


def test_a_spare_node_is_asked_for_and_called_so():
    made = plan(PoolSpec(sites={"cpu": SiteSpec()}, min_nodes=2), {"cpu": 2}, spare=1)
    assert asked(made) == ["cpu"]
    assert not made.deficits
    assert "one to spare" in made.requests[0].reason


def test_walltimes_that_no_task_would_end_in_are_left_out():
    offer = Offer(executor="cpu")
    walltimes = Walltimes()
    assert [walltimes.next("cpu", (60.0, 600.0), offer, 120.0) for _ in range(2)] == [600.0, 600.0]
    assert walltimes.next("cpu", (60.0,), offer, 120.0) == 60.0, "better than none"


def test_the_longest_walltime_that_fits_a_hole_is_chosen():
    offer = Offer(executor="cpu", holes=(Hole(nodes=1, seconds=700.0),))
    assert Walltimes().next("cpu", (60.0, 600.0, 6000.0), offer, None) == 600.0


@calm
@given(
    gaps=st.lists(st.floats(0.0, 100.0), max_size=80),
    failures=st.sets(st.integers(0, 80)),
    per_minute=st.integers(1, 8),
    seed=st.integers(0, 100),
)
def test_whatever_comes_of_it_no_site_is_asked_more_often_than_it_may_be(gaps, failures, per_minute, seed):
    pace, now, times = Pace(per_minute, random.Random(seed)), 0.0, []
    for number, gap in enumerate(gaps):
        now += gap
        if pace.opens_in(now) > 0:
            continue
        pace.asked(now)
        times.append(now)
        if number in failures:
            pace.failed(now)
    assert most_within(times, 60.0) <= per_minute


def test_a_site_that_fails_again_and_again_is_asked_ever_less_often_and_at_once_when_it_worked():
    pace = Pace(100, random.Random(3))
    waits = [pace.failed(0.0) for _ in range(12)]
    assert all(later > 1.1 * earlier for earlier, later in itertools.pairwise(waits[:7]))
    assert max(waits) <= 1.25 * 900
    pace.worked()
    assert pace.failed(0.0) < 10


@calm
@given(rate=st.floats(1e-6, 0.1), heals=st.floats(1.0, 600.0))
def test_more_availability_never_needs_fewer_spares(rate, heals):
    needed = [spares(rate, heals, each) for each in (0.0, 0.5, 0.9, 0.99, 0.999)]
    assert needed == sorted(needed)
