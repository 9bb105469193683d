"""The table of runs."""

from __future__ import annotations

import io
import json
import time

import pytest

from parsl_diaspora.cli.output import console
from parsl_diaspora.cli.runs import render
from parsl_diaspora.cli.summary import RunSummary, summarize
from parsl_diaspora.events import RunStarted, TaskEnded
from parsl_diaspora.state import Picture
from parsl_diaspora.state.run_state import QUIET, run_state


def test_a_run_is_one_row(call, log):
    answer = call("runs")
    assert answer.status == 0
    row = answer.lines[-1].split()
    assert row[:2] == ["06845a1d", "campaign.py"]
    assert row[-13:] == ["1", "min", "0", "s", "ended", "2", "1", "0", "5", "3", "3", "alder,", "birch"]


def test_json_has_the_same(call, log):
    (run,) = json.loads(call("runs", "--json").out)
    assert run["run"] == log.run
    assert (run["done"], run["failed"], run["outstanding"]) == (2, 1, 0)
    assert (run["tries"], run["failed_tries"], run["decisions"]) == (5, 3, 3)
    assert (run["state"], run["seconds"], run["started"]) == ("ended", 60.0, log.t0)
    assert run["executors"] == ["alder", "birch"]
    assert run["fabric"] == log.fabric.url


def test_known_results_count_as_done_and_tasks_that_never_ran_as_failed(call, make_log):
    log = make_log().start()
    log.say(1, TaskEnded(task=0, outcome="memoized", tries=0))
    log.say(1, TaskEnded(task=1, outcome="dependency_failed", tries=0))
    log.submitted(2, 2)
    (run,) = json.loads(call("runs", "--json").out)
    assert (run["done"], run["failed"], run["outstanding"]) == (1, 1, 1)


def test_a_run_of_this_process_is_running_and_its_time_goes_on(call, make_log, here):
    make_log(t0=time.time(), **here).start()
    first, second = (json.loads(call("runs", "--json").out)[0] for _ in range(2))
    assert first["state"] == "running"
    assert first["seconds"] < second["seconds"]


def started(**fields):
    return RunStarted(time=time.time(), **fields)


def test_a_run_whose_process_is_gone_was_interrupted(here):
    gone = started(node=here["node"], pid=2**22 + 1)
    assert run_state(gone, False, time.time(), time.time()) == "interrupted"


def test_a_process_that_only_inherited_the_number_is_not_the_run(here):
    old = RunStarted(time=1.0, **here)
    assert run_state(old, False, time.time(), time.time()) == "interrupted"


@pytest.mark.parametrize("pid", [0, -1, 2**40])
def test_a_number_that_is_no_process_is_an_interrupted_run(here, pid):
    assert run_state(started(node=here["node"], pid=pid), False, 0.0, 0.0).startswith("interrupted")


def test_of_a_run_elsewhere_only_its_silence_tells(here):
    far = started(node=here["node"] + "-not", pid=here["pid"])
    assert run_state(far, False, 1000.0, 1000.0 + QUIET / 2) == "running?"
    assert run_state(far, False, 1000.0, 1000.0 + QUIET * 2) == "interrupted?"
    assert run_state(None, False, 1000.0, 1000.0 + QUIET * 2) == "interrupted?"
    assert run_state(far, True, 1000.0, 1000.0 + QUIET * 2) == "ended"


def test_an_interrupted_run_lasted_until_its_last_event():
    picture = Picture("r")
    for at in (100.0, 130.0):
        picture.fold(TaskEnded(run="r", task=int(at), time=at))
    assert summarize(picture, "memory:", now=10_000.0).seconds == 30.0


def test_a_log_without_its_beginning_still_has_a_row(call, make_log):
    log = make_log()
    log.good_task(0)
    (run,) = json.loads(call("runs", "--json").out)
    assert (run["program"], run["executors"], run["done"]) == ("", ["alder"], 1)
    assert call("runs").status == 0


def test_only_so_many_of_the_newest_runs_are_listed_as_asked_for(call, make_log):
    for number in range(3):
        make_log(number, f"run{number}").start()
    assert [run["run"] for run in json.loads(call("runs", "--json", "-n", 2).out)] == ["run1", "run2"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_row_is_broken_by_a_narrow_terminal(width):
    run = RunSummary(
        run="06845a1d-8214",
        program="a_program_with_quite_a_long_name.py",
        started=1_790_000_000.0,
        seconds=7300.0,
        state="interrupted?",
        executors=("alder", "birch"),
    )
    out = io.StringIO()
    render([run], console(out, width))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert any(
        line.startswith("06845a1d") and "2 h 1 min" in line and "interrupted?" in line for line in lines
    )
