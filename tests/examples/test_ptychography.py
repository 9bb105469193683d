"""Killed, moved and out of time, the reconstruction is the same to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from parsl_diaspora.events import CheckpointRestored, CheckpointSaved, TaskEnded, TryFailed
from parsl_diaspora.testing.processes import find, sweep
from tests.waiting import becomes

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = EXAMPLES / "ptychography.py"
STEPS = 120
SMALL = {"spots": 6, "pitch": 5, "window": 32, "beam": 8.0}


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import ptychography
    import ptychography_sites

    for site in ptychography_sites.SITES:  # fewer workers start sooner
        monkeypatch.setitem(ptychography_sites.SITES, site, 2)
    return ptychography


def arguments(example, directory, **changed):
    """As the command line gives them, but a small experiment."""
    settings = {
        "experiment": example.Experiment(**SMALL),
        "steps": STEPS,
        "seed": 7,
        "kills": 3,
        "migrate_at": 2.0,
        "interval": "100ms",
        "run_dir": directory / "runinfo",
    }
    return SimpleNamespace(**{**settings, **changed})


def steps_again(outcome):
    """By region, how many steps were done more than once, and after which tries."""
    return len(outcome.trail) - len({(visit.region, visit.step) for visit in outcome.trail})


def test_workers_are_killed_and_every_region_is_the_same_to_the_last_bit(example, tmp_path):
    import ptychography_model as model

    args = arguments(example, tmp_path)
    hit = example.disturbed(args, walltime=600)
    kills = [each for each in hit.happened if "kill" in each.what]
    failed = [event for event in hit.events if isinstance(event, TryFailed)]
    restored = [event for event in hit.events if isinstance(event, CheckpointRestored)]
    saved = [event for event in hit.events if isinstance(event, CheckpointSaved)]
    print(f"seed {args.seed}: {len(kills)} kills, {len(failed)} tries failed, {len(saved)} saves")
    print(f"{len(restored)} tries went on from a save; {steps_again(hit)} steps were done again")
    assert len(kills) == 3
    assert len(failed) >= 1, "no task was hit"
    assert restored, "no try went on from a save"
    for region, state in enumerate(hit.states):
        straight = model.reconstruct(args.experiment, region, STEPS, model.Alone())
        assert example.equal(state, straight), f"region {region} differs"
    assert hit.left == 0
    assert sum(isinstance(event, TaskEnded) for event in hit.events) == args.experiment.regions
    assert steps_again(hit) < len(failed) * STEPS / 2, "tasks began anew"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_program_compares_both_runs_and_draws_a_picture(tmp_path):
    picture = tmp_path / "picture.svg"
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [
        sys.executable,
        str(PROGRAM),
        *options,
        "--steps=400",
        "--kills=3",
        "--interval=200ms",
        "--walltime=20",
    ]
    command += ["--picture", str(picture), "--run-dir", str(tmp_path / "runinfo")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280, check=False)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "4 of 4 regions are equal bit for bit" in ended.stdout
    assert ended.stdout.count("disturbed: kill") == 3
    assert "is moved from" in ended.stdout
    rows = [line.rsplit(maxsplit=2) for line in ended.stdout.splitlines()]
    hit = {row[0]: row[2] for row in rows if len(row) == 3}
    assert int(hit["  that a task went on from"]) >= 1
    assert picture.read_text().count("stroke-dasharray") >= 4  # three kills, a move
    for mark in (path.name for path in (tmp_path / "runinfo").glob("ptychography-*")):
        assert find(mark) == []


@pytest.fixture
def clock_of_a_block(monkeypatch, tmp_path):
    """A block with a walltime, as a provider of Parsl starts it; all of it is gone afterwards."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from ptychography_sites import environment, provider

    mark = f"ptychography-{tmp_path.name}"
    made = provider(environment(mark, "birch"), walltime=1)
    made.script_dir = str(tmp_path)
    yield made, mark
    sweep(mark)


def test_a_block_ends_at_its_walltime_as_at_a_batch_system(clock_of_a_block, tmp_path):
    provider, mark = clock_of_a_block
    (tmp_path / "told").touch()
    trap = f"trap 'echo asked >> {tmp_path}/told' TERM; while true; do sleep 0.05; done"
    provider.submit(f'echo $PARSL_DIASPORA_BLOCK_ENDS > {tmp_path}/ends; bash -c "{trap}"', 1)
    assert becomes(lambda: find(mark), 10)
    assert becomes(lambda: "asked" in (tmp_path / "told").read_text(), 20)
    assert becomes(lambda: not find(mark), 20), "it outlives its walltime"
    assert (tmp_path / "ends").read_text().strip().isdigit()


def test_a_block_that_ends_before_leaves_no_clock_behind(clock_of_a_block, tmp_path):
    provider, mark = clock_of_a_block
    provider.launcher.seconds = 300
    provider.submit(f"touch {tmp_path}/began; sleep 0.5", 1)
    assert becomes((tmp_path / "began").exists, 20)
    assert find(mark)
    assert becomes(lambda: not find(mark), 20)
