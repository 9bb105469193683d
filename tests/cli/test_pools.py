"""Pools that are checked, simulated and shown."""

from __future__ import annotations

import json

import pytest

from parsl_diaspora import PoolSpec, Settings, SiteSpec
from parsl_diaspora.events import RunStarted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.scaling.simulator import Scenario, simulate

POOL = """
sites:
  west: {max_nodes: 8, location: a}
  east: {max_nodes: 8, location: b, capabilities: [gpu]}
min_nodes: 4
min_locations: 2
capabilities: {gpu: 1}
"""
WORLD = """
hours: 0.5
losses: {every: 2m}
work: [{at: 5m, tasks: 30, seconds: 20}]
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "pool.yaml").write_text(POOL)
    (tmp_path / "world.yaml").write_text(WORLD)
    return tmp_path


def test_a_pool_is_told_in_words(call, files):
    answer = call("pools", "check", str(files / "pool.yaml"))
    assert answer.status == 0
    assert "4 at least, 16 at most" in answer.out
    assert "over 2 locations at least" in answer.out
    assert "1 node at least" in answer.out


def test_a_pool_in_settings_is_found(call, files):
    (files / "settings.yaml").write_text("max_tries: 3\npool: {sites: {cpu: {max_nodes: 2}}, min_nodes: 1}\n")
    answer = call("pools", "check", str(files / "settings.yaml"), "--json")
    assert json.loads(answer.out) == {"sites": {"cpu": {"max_nodes": 2}}, "min_nodes": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sites: {cpu: {max_nodes: 2}}\nmin_nodes: 3\n", "cannot be held"),
        ("max_tries: 3\n", "have no pool"),
        ("- cpu\n", "not a pool"),
        ("sites: {cpu: {nodes: 2}}\n", "nodes"),
    ],
)
def test_a_pool_that_is_none_is_refused_in_words(call, files, text, words):
    (files / "pool.yaml").write_text(text)
    answer = call("pools", "check", str(files / "pool.yaml"))
    assert answer.status == 2
    assert words in answer.err


def test_a_simulation_is_the_same_each_time_and_told_in_words(call, files):
    command = (
        "pools",
        "simulate",
        str(files / "pool.yaml"),
        "--trace",
        str(files / "world.yaml"),
        "--seed",
        "5",
    )
    answer = call(*command)
    assert answer.status == 0
    assert "0 tries killed by it" in answer.out
    assert "30 of 30 ended" in answer.out
    first, again = (json.loads(call(*command, "--json").out) for _ in range(2))
    assert first == again
    assert first["killed"] == 0


def test_a_world_that_makes_no_sense_is_refused(call, files):
    (files / "world.yaml").write_text("losses: {every: often}\n")
    answer = call("pools", "simulate", str(files / "pool.yaml"), "--trace", str(files / "world.yaml"))
    assert answer.status == 2
    assert "often" in answer.err


def test_what_a_runs_pool_holds_is_told_from_its_log(call, tmp_path):
    spec = PoolSpec(sites={"cpu": SiteSpec(max_nodes=4)}, min_nodes=3)
    url = f"file:{tmp_path / 'events'}"
    publisher = open_fabric(url).publisher("submit", immediate=True)
    started = RunStarted(settings=Settings(pool=spec).shown(), executors=("cpu",))
    started.run = "simulated"
    publisher.publish(started)
    simulate(spec, Scenario.read({"hours": 0.2, "losses": {"every": "3m"}}), listener=publisher.publish)
    publisher.close()
    answer = call("pools", "show", "last", "--fabric", url)
    assert answer.status == 0
    assert "3 at least, 4 at most" in answer.out
    shown = json.loads(call("pools", "show", "--fabric", url, "--json").out)
    (site,) = shown["sites"]
    assert site["asked"] >= 3
    assert site["wait"] > 0
    assert shown["killed"] == 0


def test_a_run_without_a_pool_says_so(call, tmp_path):
    url = f"file:{tmp_path / 'events'}"
    publisher = open_fabric(url).publisher("submit", immediate=True)
    publisher.publish(RunStarted(run="r1", settings=Settings().shown()))
    publisher.close()
    answer = call("pools", "show", "--fabric", url)
    assert answer.status == 1
    assert "has no pool" in answer.err
