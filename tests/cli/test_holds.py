"""Places are held from outside, by a word on the run's fabric."""

from __future__ import annotations

import json

import pytest

from parsl_diaspora.events import PlaceHeld, PlaceQuarantined, PlaceReleased
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.state import Live
from tests.waiting import becomes


@pytest.fixture
def running(make_log):
    """A run that goes on."""
    log = make_log().start()
    log.good_task(0)
    return log


def said(log, kind):
    return [event for event in log.fabric.consumer("test").poll() if isinstance(event, kind)]


def test_a_hold_is_said_on_the_runs_fabric(call, running):
    answer = call("hold", "last", "--node", "n1", "--reason", "its disk is full", "--owner", "ada")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    (event,) = said(running, PlaceHeld)
    assert (event.run, event.node, event.executor) == (running.run, "n1", None)
    assert (event.reason, event.owner, event.drain) == ("its disk is full", "ada", False)


def test_a_drain_is_a_hold_and_a_release_names_its_owner(call, running):
    assert call("drain", "--executor", "alder", "--block", "0").status == 0
    assert call("release", "--manager", "m1").status == 0
    assert [(event.drain, event.block) for event in said(running, PlaceHeld)] == [(True, "0")]
    assert [bool(event.owner) for event in said(running, PlaceReleased)] == [True]


@pytest.mark.parametrize(
    "place", [("--node", "n9"), ("--manager", "m9"), ("--executor", "alder", "--block", "9")]
)
def test_a_place_that_nobody_has_seen_is_held_with_a_note(call, running, place):
    answer = call("hold", "last", *place)
    assert answer.status == 0
    assert "it holds if it comes" in answer.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--block", "0"), "Name one of: alder, birch"),
        (("--node", "n1", "--executor", "oak"), "No executor is called 'oak'"),
        ((), "one of the arguments --node --block --manager --task --func --class is required"),
    ],
)
def test_what_is_not_clear_is_refused(call, running, arguments, words):
    answer = call("hold", "last", *arguments)
    assert answer.status == 2
    assert words in answer.err
    assert said(running, PlaceHeld) == []


def test_a_run_that_has_ended_hears_nothing(call, log):
    answer = call("hold", "last", "--node", "n1")
    assert answer.status == 1
    assert "has ended" in answer.err


def test_what_is_held_is_listed_with_owner_and_reason(call, running):
    assert call("holds").words == "Every place gets work."
    call("hold", "last", "--node", "n1", "--reason", "its disk is full", "--owner", "ada")
    call("drain", "last", "--executor", "birch", "--block", "0", "--owner", "bob")
    running.say(9, PlaceQuarantined(executor="alder", manager="m0", reason="tasks fail there", seconds=60))
    node, block, manager = [" ".join(line.split()) for line in call("holds").lines[1:]]
    assert node.startswith("node n1 all hold")
    assert node.endswith("ada its disk is full")
    assert block.startswith("block 0 birch drain")
    assert block.endswith("bob")
    assert manager == "manager m0 alder hold quarantine tasks fail there"
    found = json.loads(call("holds", "--json").out)
    assert [(each["level"], each["owner"]) for each in found] == [
        ("node", "ada"),
        ("block", "bob"),
        ("manager", "quarantine"),
    ]


def test_the_running_program_hears_it(call, running):
    live = Live(open_fabric(f"file:{running.directory}"), running.run, "submit")
    live.start()
    try:
        call("hold", "last", "--node", "n1", "--owner", "ada")
        assert becomes(lambda: [hold.owner for hold in live.picture.holds] == ["ada"])
        call("release", "last", "--node", "n1")
        assert becomes(lambda: not list(live.picture.holds))
    finally:
        live.stop()


def test_nodes_and_executors_in_quarantine_are_listed_too(call, running):
    running.say(1.0, PlaceQuarantined(node="n1", reason="its disk is full", seconds=60))
    running.say(2.0, PlaceQuarantined(executor="alder", reason="its file system is away", seconds=60))
    running.say(3.0, PlaceReleased(executor="alder", reason="its time is over", trial=True))
    rows = json.loads(call("holds", "--json").out)
    assert [(row["level"], row["name"], row["owner"]) for row in rows] == [("node", "n1", "quarantine")]
