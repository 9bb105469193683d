"""One small real program: a killed worker, a bug, a task that waits for the bug; then what is told of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from parsl_diaspora.cli.main import main

PROGRAM = """
import parsl
from parsl import Config, HighThroughputExecutor, python_app
from parsl.providers import LocalProvider

from parsl_diaspora import resilient


def site(label):
    provider = LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1)
    return HighThroughputExecutor(
        label=label, address="127.0.0.1", encrypted=True, heartbeat_period=1, heartbeat_threshold=5,
        max_workers_per_node=1, cores_per_worker=0.1, provider=provider,
    )


@python_app
def double(x):
    return 2 * x


@python_app
def die_once(flag):
    import os
    import signal

    if not os.path.exists(flag):
        open(flag, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@python_app
def divide(x, y):
    return x / y


if __name__ == "__main__":
    config = Config(executors=[site("alder"), site("birch")], strategy="none", retries=1)
    with parsl.load(resilient(config)):
        good = [double(number) for number in range(4)]
        saved, bad = die_once("flag"), divide(1, 0)
        waiting = double(bad)
        print([task.result() for task in good], saved.result(), bad.exception(), waiting.exception())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The directory in which the program ran."""
    home = tmp_path_factory.mktemp("program")
    (home / "campaign.py").write_text(PROGRAM)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
    environment.pop("PARSL_DIASPORA_FABRIC", None)
    done = subprocess.run(
        [sys.executable, "campaign.py"],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("[0, 2, 4, 6] survived division by zero")
    return home


@pytest.fixture
def ask(home, monkeypatch, call):
    monkeypatch.chdir(home)

    def ask(*arguments):
        answer = call(*arguments)
        assert (answer.status, answer.err) == (0, "")
        return answer

    return ask


def test_the_run_is_listed(ask):
    (run,) = json.loads(ask("runs", "--json").out)
    assert (run["program"], run["state"], run["executors"]) == ("campaign.py", "ended", ["alder", "birch"])
    assert (run["done"], run["failed"], run["outstanding"]) == (5, 2, 0)
    assert run["run"][:8] in ask("runs").out


def test_the_report_counts_what_happened(ask):
    report = json.loads(ask("report", "--json").out)
    assert report["outcomes"] == {"done": 5, "failed": 1, "dependency_failed": 1}
    assert report["recovered"] == 1
    assert {row["failure_class"] for row in report["failures"]} == {"worker_lost", "bug"}
    assert {row["executor"] for row in report["managers"]} == {"alder", "birch"}
    assert report["own_faults"] == {}
    health = report["health"]
    assert (health["missing"], health["duplicates"], health["skipped"], health["torn"]) == (0, 0, 0, [])
    words = ask("report").words
    assert "5 succeeded 1 failed 1 never ran" in words
    assert "divide 5 ZeroDivisionError: division by zero" in words


def test_the_saved_task_is_explained(ask):
    story = json.loads(ask("explain", 4, "--json").out)
    first, second = story["tries"][0], story["tries"][-1]
    assert (story["func"], story["outcome"]) == ("die_once", "done")
    assert first["diagnosis"]["failure_class"] == "worker_lost"
    assert first["place"]["pid"] != second["place"]["pid"]
    words = ask("explain", 4).words
    assert "Task 4 die_once" in words
    assert "decision retry here" in words
    assert "It succeeded" in words


def test_the_bug_is_explained(ask):
    words = ask("explain", 5, "--traceback").words
    assert "failure ZeroDivisionError: division by zero" in words
    assert "in campaign.py:divide:" in words
    assert "decision move to" in words
    assert "rule proven-hopeless" in words
    assert "return x / y" in words


def test_the_task_that_waited_is_explained(ask):
    words = ask("explain", 6).words
    assert "It never ran: a task that it waits for failed." in words
    assert "The trouble began there: parsl-diaspora explain" in words


def test_a_look_at_it_counts_the_same(ask):
    frame = json.loads(ask("top", "--json").out)
    apps = {row["app"]: row for row in frame["apps"]}
    assert (apps["double"]["done"], apps["double"]["dependency_failed"]) == (4, 1)
    assert (apps["die_once"]["done"], apps["divide"]["failed"]) == (1, 1)
    assert (frame["state"], frame["outstanding"], frame["workers"]) == ("ended", 0, [])
    (node,) = frame["nodes"]
    assert (node["node"], node["running"]) == (os.uname().nodename, 0)
    assert node["cores"] > 0
    assert {row["task"] for row in frame["failures"]} == {4, 5}
    assert "worker.ended" in {row["kind"] for row in frame["incidents"]}
    words = ask("top").words
    assert "0 running, 0 waiting; 5 done, 1 failed" in words


def test_its_events_are_whole_and_can_be_exported(ask):
    assert "whole" in ask("events", "verify").words
    kinds = [json.loads(line)["kind"] for line in ask("events", "export").lines]
    assert kinds.count("task.ended") == 7
    newest = {line.split()[1] for line in ask("events", "tail", "-n", 60).lines}
    assert "run.ended" in newest  # the last words of supervisors come after it


def test_nothing_is_left_over_by_reading(home):
    assert main(["runs", "--run-dir", str(home / "runinfo")]) == 0
    assert sorted(path.name for path in (home / "runinfo").glob("*/events/*") if path.is_dir()) == []


def test_compacted_it_tells_the_same(home, ask, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    questions = (("runs",), ("report",), ("explain", 4), ("explain", 5), ("explain", 6))

    def told():
        return [ask(*each, "--json").out for each in questions] + [ask(*each).out for each in questions]

    before = told()
    (done,) = json.loads(ask("events", "compact", "--json").out)
    assert done["dropped"] >= 4
    assert told() == before
    assert f"compacted {done['dropped']} events dropped" in ask("events", "verify").words
    assert json.loads(ask("events", "compact", "--json").out)[0]["segments"] == 0
