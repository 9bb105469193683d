"""Places are held and released from within the program."""

from __future__ import annotations

import parsl
import pytest

from parsl_diaspora import drain, hold, release, resilient
from parsl_diaspora.errors import ConfigurationError


@pytest.fixture
def live(tmp_path):
    executors = [parsl.ThreadPoolExecutor(label=label) for label in ("alder", "birch")]
    stock = parsl.Config(executors=executors, run_dir=str(tmp_path), strategy="none")
    with parsl.load(resilient(stock, fabric="memory:")) as kernel:
        yield kernel.memoizer.session.begin(kernel.run_id)
    parsl.clear()


def test_a_node_is_held_drained_and_released(live):
    said = hold(node="n1", reason="its disk is full")
    assert (said.run, said.node, said.owner) == (live.picture.run, "n1", "the program")
    drain(node="n1", owner="ada")
    assert [(each.owner, each.drain) for each in live.picture.holds] == [("ada", True)]
    release(node="n1")
    assert list(live.picture.holds) == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({}, "One place has to be named"),
        ({"node": "n1", "manager": "m1"}, "One place has to be named"),
        ({"block": "0"}, "Name one of: alder, birch"),
        ({"node": "n1", "executor": "oak"}, "No executor is called 'oak'"),
    ],
)
@pytest.mark.parametrize("function", [hold, drain, release])
def test_a_place_that_is_not_clear_is_refused(live, function, place, words):
    with pytest.raises(ConfigurationError, match=words):
        function(**place)
    assert list(live.picture.holds) == []


def test_without_a_resilient_program_there_is_nothing_to_hold(tmp_path):
    with pytest.raises(ConfigurationError, match="No configuration is loaded"):
        hold(node="n1")
    stock = parsl.Config(executors=[parsl.ThreadPoolExecutor()], run_dir=str(tmp_path), strategy="none")
    with parsl.load(stock), pytest.raises(ConfigurationError, match="not resilient"):
        hold(node="n1")
    parsl.clear()
