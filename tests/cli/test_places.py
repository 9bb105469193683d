"""What is believed of places, told and forgotten."""

from __future__ import annotations

import json
import time

import pytest

from parsl_diaspora.events import Lesson, PlacesLearned
from parsl_diaspora.fabric import open_fabric

HOPELESS = "builtins.ZeroDivisionError@app.py:train:7"


@pytest.fixture
def url(tmp_path):
    place = f"file:{tmp_path / 'places'}"
    lessons = (
        Lesson(func="app.train#1", place="executor:cpu", bad=4, tries=1, lack="module 'torch'"),
        Lesson(func="app.train#1", place="executor:gpu", good=9, tries=9, memory=10),
        Lesson(func="app.plot#2", hopeless=HOPELESS),
    )
    publisher = open_fabric(place).publisher("a run", immediate=True)
    publisher.publish(PlacesLearned(lessons=lessons, time=time.time() - 60))
    publisher.close()
    return place


def test_each_belief_is_told_with_its_tries_its_age_and_why(call, url):
    answer = call("places", "--places", url)
    assert answer.status == 0
    train = next(line for line in answer.out.splitlines() if "executor:cpu" in line)
    assert "app.train" in train
    assert "1 try" in train
    assert "1 min" in train
    assert "it lacks module 'torch'" in train
    assert HOPELESS in " ".join(answer.out.split())


def test_beliefs_as_json_of_some_functions(call, url):
    answer = call("places", "--places", url, "--func", "train", "--json")
    rows = json.loads(answer.out)
    assert {(row["place"], row["tries"]) for row in rows} == {("executor:cpu", 1), ("executor:gpu", 9)}
    assert all(0 < row["chance"] < 1 for row in rows)


def test_what_is_forgotten_is_gone_for_every_reader(call, url):
    assert call("places", "--places", url, "--forget", "app.*").status == 0
    answer = call("places", "--places", url)
    assert (answer.status, answer.out.strip()) == (0, "Nothing is believed of any place.")


def test_where_no_run_has_left_a_memory_it_is_said(call, tmp_path):
    answer = call("places", "--run-dir", str(tmp_path / "none"))
    assert answer.status == 1
    assert "No run has left a memory of places" in answer.err
