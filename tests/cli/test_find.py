"""Which logs are read and which run is meant; what is said when there is none."""

from __future__ import annotations

import json

import pytest

from parsl_diaspora.events import EventsLost, RunStarted
from parsl_diaspora.fabric import open_fabric

OTHER = "06845a1d-ffff-0000-0000-000000000000"


def ids(answer):
    return [run["run"] for run in json.loads(answer.out)]


@pytest.mark.parametrize("command", [("runs",), ("report",), ("explain", "1"), ("events", "tail")])
def test_without_any_log_it_says_where_it_looked_and_what_to_do(call, tmp_path, command):
    (tmp_path / "runinfo" / "000").mkdir(parents=True)
    answer = call(*command)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("parsl-diaspora: There is no event log in ")
    assert str(tmp_path / "runinfo") in answer.err
    assert "parsl.load(resilient(config))" in answer.err
    assert answer.err.count("\n") == 1


def test_a_run_directory_that_is_not_there_is_named(call, tmp_path):
    answer = call("runs", "--run-dir", "nowhere")
    assert answer.status == 1
    assert f"There is no directory {tmp_path / 'nowhere'}." in answer.err


def test_a_fabric_directory_that_is_not_there_is_an_error(call):
    answer = call("report", "--fabric", "file:nowhere/events")
    assert answer.status == 2
    assert "nowhere/events does not exist" in answer.err


def test_a_fabric_directory_without_segments_is_an_error(call, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of ours")
    (tmp_path / "folder.events").mkdir()
    answer = call("events", "verify", "--fabric", f"file:{tmp_path}")
    assert answer.status == 2
    assert "holds no events" in answer.err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("fil:events", "Did you mean 'file:'?"),
        ("events", "Try 'file:events'."),
        ("file:", "needs a directory"),
    ],
)
def test_a_wrong_fabric_url_is_one_clear_sentence(call, url, says):
    answer = call("runs", "--fabric", url)
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_fabric_that_is_a_file_is_an_error(call, tmp_path):
    (tmp_path / "events").write_text("no directory")
    answer = call("runs", "--fabric", "file:events")
    assert answer.status == 2
    assert "is a file, not a directory" in answer.err


def test_the_environment_names_the_fabric(call, log, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("PARSL_DIASPORA_FABRIC", log.fabric.url)
    assert ids(call("runs", "--json")) == [log.run]


def test_a_run_directory_that_is_named_counts_more_than_the_environment(call, log, monkeypatch):
    monkeypatch.setenv("PARSL_DIASPORA_FABRIC", "file:nowhere")
    assert ids(call("runs", "--json", "--run-dir", "runinfo")) == [log.run]


def test_the_directory_of_one_run_will_do(call, log):
    assert ids(call("runs", "--json", "--run-dir", "runinfo/000")) == [log.run]


def test_logs_come_in_the_order_in_which_parsl_numbered_them(call, make_log):
    for number in (1000, 7, 999):
        make_log(number, f"run-{number}").start()
    assert ids(call("runs", "--json")) == ["run-7", "run-999", "run-1000"]
    assert json.loads(call("report", "last", "--json").out)["summary"]["run"] == "run-1000"


def test_one_fabric_may_hold_many_runs(call, make_log):
    first = make_log(0, "first").start()
    (first.directory.parent / "parsl.log").unlink()
    first.say(100, RunStarted(run="second"))
    first.say(50, RunStarted(run="between"))
    assert ids(call("runs", "--json", "--fabric", first.fabric.url)) == ["first", "between", "second"]
    assert ids(call("runs", "--json", "-n", 1)) == ["second"]


def test_an_event_without_a_run_does_not_hide_the_run(call, make_log):
    log = make_log(0, "first")
    log.submit.publish(EventsLost(count=1, why="early"))
    log.start()
    assert ids(call("runs", "--json")) == ["first"]


def test_a_unique_beginning_names_a_run(call, log):
    assert json.loads(call("report", log.run[:3], "--json").out)["summary"]["run"] == log.run


def test_a_beginning_of_two_runs_is_refused_with_both_names(call, log, make_log):
    make_log(1, OTHER).start()
    answer = call("report", "0684")
    assert answer.status == 1
    assert "2 runs in" in answer.err
    assert log.run in answer.err
    assert OTHER in answer.err


def test_a_whole_id_counts_more_than_a_longer_one_that_begins_so(call, make_log):
    make_log(0, "run").start()
    make_log(1, "run-b").start()
    assert json.loads(call("report", "run", "--json").out)["summary"]["run"] == "run"


def test_an_unknown_run_is_refused_with_those_that_are_known(call, log):
    answer = call("explain", "zzz", 1)
    assert answer.status == 1
    assert "begins with 'zzz'" in answer.err
    assert log.run[:8] in answer.err


def test_a_run_in_two_logs_asks_which(call, make_log):
    make_log(0, "twin").start()
    make_log(1, "twin").start()
    answer = call("report", "twin")
    assert answer.status == 1
    assert "is in 2 logs" in answer.err
    assert "runinfo/000/events" in answer.err


def test_a_fabric_and_a_run_directory_exclude_each_other(call):
    assert call("runs", "--fabric", "memory:", "--run-dir", "x").status == 2


def test_a_fabric_without_events_has_no_run(call):
    open_fabric("memory:cli-empty")
    answer = call("report", "--fabric", "memory:cli-empty")
    assert answer.status == 1
    assert "There is no run in memory:cli-empty." in answer.err
