"""How often a task is saved: against a simulation, and as its cost is learned."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.checkpoint import Interval, best_interval

COST = st.floats(1e-3, 1e3)
BETWEEN = st.floats(1.0, 1e7)


def time_taken(work, interval, cost, between, source):
    """Seconds for so much work, with failures at random moments and a restart from the newest save."""
    spent = done = 0.0
    fails = source.expovariate(1.0 / between)
    while done < work:
        ends = spent + interval + cost
        if fails < ends:
            spent = fails
            fails = spent + source.expovariate(1.0 / between)
        else:
            spent, done = ends, done + interval
    return spent


@pytest.mark.parametrize(("cost", "between"), [(1.0, 100.0), (5.0, 3600.0), (0.1, 30.0)])
def test_it_loses_less_than_intervals_that_are_much_shorter_or_longer(cost, between):
    seed = 11
    print(f"seed {seed}")
    best = best_interval(cost, between)

    def mean(interval):
        source = random.Random(seed)
        return sum(time_taken(200 * between, interval, cost, between, source) for _ in range(5))

    assert mean(best) < mean(best / 4)
    assert mean(best) < mean(best * 4)


@given(COST, BETWEEN)
def test_it_is_a_time_that_is_no_longer_than_failures_are_apart(cost, between):
    assert 0.0 < best_interval(cost, between) <= max(between, (2 * cost * between) ** 0.5)


@given(COST, BETWEEN)
def test_dearer_saves_are_made_less_often_and_safer_places_see_fewer(cost, between):
    assert (
        best_interval(cost, between) <= best_interval(cost * 1.5, between) * (1 + 1e-9) or cost * 3 > between
    )
    assert best_interval(cost, between) <= best_interval(cost, between * 2) * (1 + 1e-9)


def test_a_fixed_interval_stays_whatever_is_learned():
    interval = Interval(30.0)
    interval.learn(cost=100.0, written=500.0)
    assert interval.seconds == 30.0


def test_the_best_one_follows_what_saves_cost():
    interval = Interval(None, between_failures=86_400.0)
    assert interval.seconds == 5.0
    interval.learn(cost=0.01, written=0.1)
    cheap = interval.seconds
    for _ in range(10):
        interval.learn(cost=10.0, written=20.0)
    assert interval.seconds > 20 * cheap
    for _ in range(20):
        interval.learn(cost=0.01, written=0.1)
    assert interval.seconds == pytest.approx(cheap, rel=0.1)


def test_it_is_never_shorter_than_writing_takes():
    interval = Interval(None, between_failures=1.0)
    interval.learn(cost=0.001, written=40.0)
    assert interval.seconds >= 40.0


def test_the_last_save_of_a_block_begins_early_enough():
    interval = Interval()
    before = interval.margin
    interval.learn(cost=1.0, written=20.0)
    assert interval.margin >= before + 20.0


def test_saves_take_one_hundredth_of_the_time_while_nobody_knows_how_often_failures_come():
    interval = Interval(None, between_failures=86_400.0)
    interval.learn(cost=0.2, written=0.5)
    assert interval.seconds == pytest.approx(20.0)


def test_where_failures_are_frequent_they_take_more():
    interval = Interval(None, between_failures=60.0)
    interval.learn(cost=1.0, written=0.5)
    assert interval.seconds == pytest.approx(best_interval(1.0, 60.0))
