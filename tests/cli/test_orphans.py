"""Blocks whose programs are gone are found by the run in their name, and nobody else's are touched."""

from __future__ import annotations

import argparse
import json
import os

import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.cli.pools import orphans
from parsl_diaspora.errors import NotFound, PoolError
from parsl_diaspora.events import RunEnded, RunStarted

HERE = os.uname().nodename
ENDED, KILLED, ALIVE, SILENT, STRANGE = (
    f"{number:08x}-75d4-4f5c-9c39-1e1a3a6f3c11" for number in range(1, 6)
)
NO_PROCESS = 2**22 + 1


@pytest.fixture
def log(tmp_path):
    """A log with four runs; of a fifth nobody knows."""
    fabric = open_fabric(f"file:{tmp_path / 'log'}")
    publisher = fabric.publisher("test")
    started = [
        RunStarted(run=ENDED, node=HERE, pid=NO_PROCESS),
        RunEnded(run=ENDED),
        RunStarted(run=KILLED, node=HERE, pid=NO_PROCESS, program="killed.py"),
        RunStarted(run=ALIVE, node=HERE, pid=os.getpid()),
        RunStarted(run=SILENT, node="elsewhere", pid=NO_PROCESS, time=1_790_000_000.0),
    ]
    for event in started:
        publisher.publish(event)
    publisher.close()
    return fabric.url


@pytest.fixture
def jobs(scheduler, tmp_path):
    """A block of each run waits in the queue, and something that is no block: job ids by run."""
    scheduler.hold()
    provider = scheduler.provider()
    provider.script_dir = str(tmp_path)
    runs = (ENDED, KILLED, ALIVE, SILENT, STRANGE)
    ids = {run: provider.submit("true", 1, f"parsl.alder.block-0.{run}.east") for run in runs}
    return {**ids, "": provider.submit("true", 1, "analysis")}


def call(*arguments):
    parser = argparse.ArgumentParser()
    orphans.add_arguments(parser)
    return orphans.run(parser.parse_args(list(arguments)))


def left(scheduler):
    return {job["id"] for job in scheduler.jobs()}


def test_blocks_are_listed_with_what_is_known_of_their_programs(jobs, log, scheduler, capsys):
    assert call("--fabric", log, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    states = {each["job"]["id"]: each["of"]["state"] for each in found["blocks"]}
    assert states == {
        jobs[ENDED]: "ended",
        jobs[KILLED]: "interrupted",
        jobs[ALIVE]: "running",
        jobs[SILENT]: "interrupted?",
        jobs[STRANGE]: "unknown",
    }
    assert left(scheduler) == set(jobs.values())


def test_the_list_for_people_says_how_to_end_them(jobs, log, capsys):
    assert call("--fabric", log) == 0
    out = capsys.readouterr().out
    assert "killed.py" in out
    assert "2 blocks of programs that are gone: parsl-diaspora pools orphans --cancel ends them." in out


def test_only_blocks_of_programs_that_are_surely_gone_are_ended(jobs, log, scheduler, capsys):
    assert call("--fabric", log, "--cancel") == 0
    assert "Ended 2 blocks" in capsys.readouterr().out
    assert left(scheduler) == set(jobs.values()) - {jobs[ENDED], jobs[KILLED]}


def test_the_user_may_answer_for_a_silent_program_but_not_for_one_that_is_seen_to_run(jobs, log, scheduler):
    named = [word for run in (SILENT, STRANGE, ALIVE) for word in ("--run", run[:8])]
    assert call("--fabric", log, "--cancel", *named) == 0
    assert left(scheduler) == {jobs[ALIVE], jobs[""]}


def test_a_block_of_stock_parsl_is_known_by_its_run_directory(scheduler, tmp_path, capsys):
    run_dir = tmp_path / "runinfo" / "000"
    (run_dir / "submit_scripts").mkdir(parents=True)
    publisher = open_fabric(f"file:{run_dir / 'events'}").publisher("test")
    publisher.publish(RunStarted(run=KILLED, node=HERE, pid=NO_PROCESS, run_dir=str(run_dir)))
    publisher.close()
    scheduler.hold()
    provider = scheduler.provider()
    provider.script_dir = str(run_dir / "submit_scripts")
    provider.submit("true", 1, "parsl.alder.block-0")
    assert call("--cancel", "--run-dir", str(tmp_path / "runinfo")) == 0
    assert left(scheduler) == set()


def test_a_scheduler_that_does_not_answer_is_no_empty_queue(jobs, log, scheduler):
    scheduler.blip(commands=["squeue"])
    with pytest.raises(PoolError, match="Unable to contact slurm controller"):
        call("--fabric", log, "--cancel")
    assert left(scheduler) == set(jobs.values())


def test_without_a_scheduler_it_says_what_is_missing(log, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotFound, match="squeue and scancel are not on PATH"):
        call("--fabric", log)
