"""Holds are kept by place, found for each manager there, and lifted."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import ManagerEnded, ManagerSeen, PlaceHeld, PlaceReleased, TryStarted
from parsl_diaspora.state import Holds, ManagerState, Picture

M1 = ManagerState(executor="alder", block="0", node="n1")


def put(*events):
    holds = Holds()
    for event in events:
        holds.put(event)
    return holds


@pytest.mark.parametrize(
    ("place", "meant"),
    [
        ({"node": "n1"}, True),
        ({"node": "n2"}, False),
        ({"executor": "birch", "node": "n1"}, False),
        ({"executor": "alder", "block": "0"}, True),
        ({"executor": "alder", "block": "1"}, False),
        ({"executor": "birch", "block": "0"}, False),
        ({"manager": "m1"}, True),
        ({"manager": "m2", "block": "0", "node": "n1"}, False),
        ({}, False),
    ],
)
def test_a_hold_is_on_the_smallest_place_that_is_named(place, meant):
    assert (put(PlaceHeld(**place)).on("m1", M1) is not None) is meant


def test_a_later_word_on_the_same_place_replaces_the_earlier_one():
    holds = put(PlaceHeld(node="n1", reason="a"), PlaceHeld(node="n1", reason="b", owner="ada", drain=True))
    (hold,) = holds
    assert (hold.reason, hold.owner, hold.drain) == ("b", "ada", True)


def test_a_release_without_an_executor_is_for_all_of_them():
    holds = put(PlaceHeld(node="n1"), PlaceHeld(node="n1", executor="alder"), PlaceHeld(node="n2"))
    holds.lift(PlaceReleased(node="n1", executor="birch"))
    assert len(list(holds)) == 3
    holds.lift(PlaceReleased(node="n1"))
    assert [hold.name for hold in holds] == ["n2"]


def fold(*events):
    picture = Picture("run")
    for event in events:
        event.run = "run"
        picture.fold(event)
    return picture


def seen(name, node=None, **more):
    return ManagerSeen(executor="alder", block="0", manager=name, node=node, workers=2, **more)


def test_managers_in_a_held_place_are_not_on_offer_until_it_is_released():
    picture = fold(seen("m1", "n1"), seen("m2", "n2"), PlaceHeld(node="n1", owner="ada"))
    assert (picture.present["alder"], picture.workers["alder"]) == ({"m2"}, 2)
    picture.fold(PlaceReleased(run="run", node="n1", owner="bob"))
    assert (picture.present["alder"], picture.workers["alder"]) == ({"m1", "m2"}, 4)


def test_a_manager_that_comes_later_is_held_as_soon_as_its_node_is_known():
    picture = fold(PlaceHeld(node="n1", owner="ada"), seen("m1"))
    assert picture.present["alder"] == {"m1"}
    picture.fold(TryStarted(run="run", task=0, try_id=0, executor="alder", manager="m1", node="n1"))
    assert picture.present["alder"] == set()


def test_a_manager_that_has_ended_is_not_on_offer_whichever_is_heard_first():
    ended = ManagerEnded(executor="alder", manager="m1", reason="SIGKILL")
    for picture in (fold(seen("m1", "n1"), ended), fold(ended, seen("m1", "n1"))):
        assert picture.present["alder"] == set()


def test_the_end_of_a_quarantine_leaves_the_hold_of_a_person():
    picture = fold(seen("m1"), PlaceHeld(manager="m1", owner="ada"), PlaceReleased(manager="m1"))
    assert picture.present["alder"] == set()
