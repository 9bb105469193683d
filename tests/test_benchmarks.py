"""That the benchmarks run: their figures are printed for people, and no test holds them to any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "benchmarks" / "fabric.py"
pytest.importorskip("lmdb")


def run(directory, *options, **environment):
    (directory / "logs").mkdir()
    command = [sys.executable, str(PROGRAM), "--quick", "--dir", str(directory / "logs"), *options]
    return subprocess.run(
        [*command, "--json", str(directory / "figures.json")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def rows_of(directory):
    return json.loads((directory / "figures.json").read_text())["rows"]


def processes_at(place):
    said = (Path(entry) / "cmdline" for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [path for path in said if str(place).encode() in _read(path)]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


@pytest.mark.slow
def test_every_candidate_has_its_figures_and_nothing_is_left_behind(tmp_path):
    ended = run(tmp_path)
    assert ended.returncode == 0
    assert ended.stderr == ""
    rows = rows_of(tmp_path)
    assert {row["part"] for row in rows} >= {"append", "object", "publish", "latency", "read", "relay"}
    for row in rows:
        assert row["rounds"], row
        assert bool(row["goal"]) == bool(row["met"]), row
        assert row["figure"] in ended.stdout
    assert {name for row in rows for name in row["rounds"]} == {"file:", "relay", "sqlite WAL", "LMDB"}
    assert list((tmp_path / "logs").iterdir()) == []
    assert processes_at(tmp_path) == []


def test_a_stopped_writer_stops_others_of_sqlite_and_lmdb_only(tmp_path):
    run(tmp_path, "--only", "stopped")
    beside = {row["figure"]: row["rounds"] for row in rows_of(tmp_path)}["while it is stopped, events/s"]
    assert beside["file:"][0] > 0
    assert beside["sqlite WAL"] == beside["LMDB"] == [0]


def test_a_package_that_is_missing_leaves_an_empty_column_that_says_so(tmp_path):
    (tmp_path / "lmdb.py").write_text("raise ImportError('no LMDB here')")
    shadowed = os.pathsep.join((str(tmp_path), str(ROOT)))
    ended = run(tmp_path, "--only", "read", PYTHONPATH=shadowed)
    assert ended.returncode == 0
    assert "LMDB: not measured: no LMDB here" in ended.stdout
    (row,) = rows_of(tmp_path)
    assert set(row["rounds"]) == {"file:", "sqlite WAL"}


def test_what_cannot_be_measured_is_refused_at_once(tmp_path):
    ended = run(tmp_path, "--rounds", "0")
    assert ended.returncode == 2
    assert "at least 1" in ended.stderr


def test_the_bridge_is_measured_and_nothing_is_left_behind(tmp_path):
    (tmp_path / "logs").mkdir()
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "bridge.py"),
        "--quick",
        "--dir",
        str(tmp_path / "logs"),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "file -> memory" in ended.stdout
    assert list((tmp_path / "logs").iterdir()) == []


def test_figures_of_a_pattern_match_are_printed_beside_those_of_a_naive_reading(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks" / "triggers.py"), "--quick", "--json"]
    ended = subprocess.run(
        [*command, str(tmp_path / "figures.json")], capture_output=True, text=True, timeout=100, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert len(figures) == 12
    assert all(0 < each["p50"] <= each["p99"] for each in figures)
    assert f"{figures[0]['p50']:.2f}" in ended.stdout


@pytest.mark.slow
def test_what_comes_of_failures_is_measured_and_nothing_is_left_behind(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "recovery.py"),
        "--quick",
        "--dir",
        str(tmp_path / "d"),
    ]
    ended = subprocess.run(
        [*command, "--sides", "stock,warm", "--cells", "import,doomed"],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines() if line.startswith(("import", "doomed"))]
    assert [row[:3] for row in rows] == [
        ["import", "stock", "2"],
        ["import", "warm", "2"],
        ["doomed", "stock", "2"],
        ["doomed", "warm", "2"],
    ]
    assert processes_at(tmp_path / "d") == []
