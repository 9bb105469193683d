"""Where a first try goes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.recovery.placement import Candidate, best_first, choose, weight_of
from tests.events.strategies import calm


def at(label, **more):
    return Candidate(label=label, **more)


def chosen(candidates, here, **more):
    return choose(candidates, here, chance=random.Random(7), **more).label


def test_what_parsl_has_drawn_stands_where_places_are_alike():
    assert chosen([at("alder"), at("birch", chance=0.85)], "alder") == "alder"


@pytest.mark.parametrize(
    ("alder", "rule"),
    [
        ({"lack": "module 'strokes'"}, "known-lack"),
        ({"usable": False}, "executor-gone"),
        ({"rests": "in quarantine"}, "resting"),
        ({"chance": 0.2}, "fares-better"),
        ({"load": 5.0}, "less-loaded"),
    ],
)
def test_a_place_is_left_for_a_reason(alder, rule):
    choice = choose([at("alder", **alder), at("birch")], "alder", chance=random.Random(7))
    assert (choice.label, choice.rule) == ("birch", rule)


def test_a_place_without_managers_keeps_its_tasks_or_it_would_never_get_any():
    assert chosen([at("alder", has_managers=False), at("birch")], "alder") == "alder"


def test_where_every_place_lacks_something_parsl_has_its_way():
    assert chosen([at("alder", lack="memory"), at("birch", lack="memory")], "birch") == "birch"


def test_a_place_that_rests_is_better_than_one_that_lacks_something():
    assert chosen([at("alder", lack="memory"), at("birch", rests="in quarantine")], "alder") == "birch"


def test_while_nobody_knows_how_much_a_function_needs_it_begins_where_there_is_most():
    small, large = at("alder", memory=2), at("birch", memory=10)
    assert chosen([small, large], "alder", unmeasured=True) == "birch"
    assert chosen([small, large], "alder") == "alder"
    assert chosen([small, at("birch", memory=10, load=1.0)], "alder", unmeasured=True) == "alder"


def test_many_tasks_are_shared_among_places_that_are_alike_however_parsl_draws():
    draw, outstanding = random.Random(1), Counter()
    for _ in range(300):
        places = [at(label, load=outstanding[label] / 4) for label in ("alder", "birch", "cedar")]
        outstanding[choose(places, draw.choice(["alder", "alder", "birch"]), chance=draw).label] += 1
    assert min(outstanding[label] for label in ("alder", "birch", "cedar")) > 50


def test_a_place_of_poor_repute_is_tried_again_after_a_while_unless_it_is_proven_to_lack_something():
    poor = {"chance": 0.2, "stale": 700.0}
    assert chosen([at("alder", **poor), at("birch")], "birch", explore_after=600) == "alder"
    assert chosen([at("alder", chance=0.2, stale=500.0), at("birch")], "birch", explore_after=600) == "birch"
    assert chosen([at("alder", **poor, lack="memory"), at("birch")], "birch", explore_after=600) == "birch"


def test_for_a_retry_the_likeliest_place_with_managers_comes_first():
    places = [
        at("a", chance=0.3),
        at("b", has_managers=False),
        at("c"),
        at("d", lack="memory"),
        at("e", load=9),
    ]
    assert [each.label for each in best_first(places)] == ["c", "e", "a", "b"]


def test_what_befell_the_infrastructure_says_nothing_against_a_place():
    assert weight_of("manager_lost", infrastructure=True) == 0
    assert weight_of("memory", infrastructure=False) > 1 > weight_of("application", infrastructure=False) > 0


candidates = st.lists(
    st.builds(
        Candidate,
        label=st.uuids().map(str),
        usable=st.booleans(),
        rests=st.sampled_from(["", "in quarantine"]),
        lack=st.sampled_from(["", "memory"]),
        chance=st.floats(0, 1),
        has_managers=st.booleans(),
        load=st.floats(0, 1e6),
        memory=st.integers(0, 2**50),
        stale=st.floats(0, 1e9),
    ),
    min_size=1,
    max_size=6,
)


@calm
@given(candidates, st.integers(0, 6), st.booleans(), st.randoms())
def test_some_allowed_place_is_always_chosen_and_never_a_worse_kind(places, number, unmeasured, draw):
    here = places[number % len(places)]
    choice = choose(places, here.label, unmeasured=unmeasured, explore_after=600, chance=draw)
    found = next(each for each in places if each.label == choice.label)
    assert found.usable or not any(each.usable for each in places)
    if any(each.usable and not each.lack and not each.rests for each in places):
        assert found.usable
        assert not found.lack
        assert not found.rests
