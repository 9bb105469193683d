"""Runs as a log tells them afterwards."""

from __future__ import annotations

import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import Event, RunEnded, RunStarted, TaskEnded, TaskSubmitted
from parsl_diaspora.state import History, read_events, read_history


def history(*runs):
    made = History()
    for number, run in enumerate(runs):
        made.add(RunStarted(run=run, time=100.0 + number))
    return made


def test_a_run_is_found_by_its_whole_id_or_by_enough_of_its_beginning():
    made = history("ab12", "ac34")
    assert made.find("ab12").run == "ab12"
    assert made.find("ac").run == "ac34"


def test_a_whole_id_is_found_even_if_another_one_begins_with_it():
    assert history("ab", "abc").find("ab").run == "ab"


def test_last_is_the_run_that_began_last_whatever_the_order_in_the_log():
    made = History()
    made.add(RunStarted(run="new", time=200.0))
    made.add(RunStarted(run="old", time=100.0))
    made.add(RunEnded(run="old", time=300.0))
    assert made.find("last").run == "new"


def test_a_beginning_that_fits_several_runs_is_an_error_that_names_them():
    with pytest.raises(NotFound, match="more than one run begins with 'a'") as raised:
        history("ab12", "ac34").find("a")
    assert "ab12, ac34" in raised.value.hint


@pytest.mark.parametrize("name", ["zz", "last"])
def test_a_run_that_is_not_there_is_an_error_that_says_what_is(name):
    made = history() if name == "last" else history("ab12")
    with pytest.raises(NotFound) as raised:
        made.find(name)
    assert raised.value.what == name
    assert ("none" if name == "last" else "ab12") in raised.value.hint


def test_events_of_no_run_make_no_run():
    made = History()
    made.add(Event(time=1.0))
    assert made.runs == {}


@pytest.fixture(params=["memory", "file"])
def fabric(request, tmp_path):
    return open_fabric("memory:" if request.param == "memory" else f"file:{tmp_path / 'log'}")


def test_a_log_of_two_runs_and_two_sources_is_read_back_in_order_of_time(fabric):
    submit, worker = (fabric.publisher(name, immediate=True) for name in ("submit", "worker"))
    submit.publish(RunStarted(run="b", time=20.0))
    submit.publish(RunStarted(run="a", time=10.0))
    worker.publish(TaskEnded(run="a", task=0, time=13.0))
    submit.publish(TaskSubmitted(run="a", task=0, func="simulate", executor="alder", time=11.0))
    for each in (submit, worker):
        each.close()
    made = read_history(fabric)
    assert list(made.runs) == ["a", "b"]
    assert made.runs["a"].tasks[0].func == "simulate"
    assert made.runs["a"].counts == {"tries": 1, "done": 1}
    assert (made.dedupe.duplicates, made.dedupe.missing, made.skipped) == (0, 0, 0)
    assert len(list(read_events(fabric))) == 4


def test_an_event_that_stands_in_the_log_twice_is_told_once(fabric):
    publisher = fabric.publisher("submit", immediate=True)
    event = TaskSubmitted(run="a", task=0, func="simulate", executor="alder")
    publisher.publish(event)
    publisher.forward(event)
    publisher.close()
    made = read_history(fabric)
    assert made.runs["a"].counts == {"tries": 1}
    assert made.dedupe.duplicates == 1
    assert len(list(read_events(fabric))) == 1


def test_reading_a_log_leaves_no_trace_so_that_it_can_be_read_again(fabric):
    publisher = fabric.publisher("submit", immediate=True)
    publisher.publish(RunStarted(run="a"))
    publisher.close()
    assert [list(read_history(fabric).runs) for _ in range(2)] == [["a"], ["a"]]
