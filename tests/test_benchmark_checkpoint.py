"""That the checkpoint benchmark runs; and that its simulated hour is right where it can be computed."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(directory, *options):
    place, told = directory / "states", directory / "rows.json"
    place.mkdir()
    command = [sys.executable, str(BENCHMARKS / "checkpoint.py"), "--small", "--dir", str(place)]
    ended = subprocess.run(
        [*command, "--json", str(told), *options], capture_output=True, text=True, timeout=200, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert list(place.iterdir()) == []
    rows = json.loads(told.read_text())["rows"]
    for row in rows:
        assert row["figure"] in ended.stdout
        assert row["ratio"] > 0
        assert (row["goal"] is None) == (row["met"] is None)
    return rows


def test_what_a_save_costs_is_printed_beside_memcpy_and_the_disk(tmp_path):
    rows = run(tmp_path, "--only", "stop,dirty,disk,memory,hours")
    assert [row["beside"].split()[0] for row in rows] == [
        *("memcpy", "memcpy", "state", "plain", "plain", "state", "state", "none", "none")
    ]
    (dirty,) = (row for row in rows if "dirty" in row["figure"])
    assert 0.05 < dirty["ratio"] < 0.1, "of bytes written, which no machine's speed changes"
    with_copy, without = (row for row in rows if "memory above" in row["figure"])
    assert 0.9 < with_copy["ratio"] < 1.8
    assert without["ratio"] < 0.8


@pytest.mark.slow
def test_real_tasks_are_killed_and_compared_with_those_that_save_nothing(tmp_path):
    rows = run(tmp_path, "--only", "overhead,kills", "--task-seconds", "12", "--tasks", "1")
    figures = [row["figure"] for row in rows]
    assert figures[0].startswith("run time")
    assert any("from the kill to the next step" in figure for figure in figures)
    (lost,) = (row for row in rows if "lost a kill" in row["figure"])
    assert lost["ratio"] > 1, "a task that goes on from a save must lose less"


def test_a_part_that_there_is_not_is_refused(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "checkpoint.py"), "--only", "stop,speed"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "there is no speed" in ended.stderr


# ------------------------------------------------------------------ the simulated hour


@pytest.fixture
def hours(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import _checkpoint_hours

    return _checkpoint_hours


def costs(hours, **known):
    return hours.Costs(**{"stop": 0.0, "cpu": 0.0, "written": 0.0, "restore": 0.0, "restart": 0.0, **known})


def test_without_checkpoints_the_simulation_loses_what_theory_says(hours):
    # a task of length T, begun anew after failures once in T: e - 1 failures and T * (e - 1) seconds in all
    expected = hours.HOUR * (math.e - 2) / (math.e - 1)
    lost = hours.lost_a_kill(costs(hours), math.inf, 20_000)
    assert lost == pytest.approx(expected, rel=0.03)
    assert hours.lost_a_kill(costs(hours, restart=7.0), math.inf, 20_000) == pytest.approx(
        lost + 7.0, rel=0.01
    )


def test_with_free_checkpoints_half_an_interval_is_lost_a_kill(hours):
    assert hours.lost_a_kill(costs(hours), 60.0, 20_000) == pytest.approx(30.0, rel=0.05)


def test_a_save_that_takes_long_to_be_safe_loses_as_much_more(hours):
    free, slow = (hours.lost_a_kill(costs(hours, written=each), 60.0, 20_000) for each in (0.0, 20.0))
    assert slow - free == pytest.approx(20.0, rel=0.1)


def test_what_saves_cost_is_counted_too(hours):
    free, dear = (hours.lost_a_kill(costs(hours, stop=each), 60.0, 20_000) for each in (0.0, 1.0))
    kills_an_hour, saves_an_hour = 1.0, 59
    assert dear - free == pytest.approx(saves_an_hour / kills_an_hour, rel=0.15)
