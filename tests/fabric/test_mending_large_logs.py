"""Logs of two gigabytes are checked, repaired, compacted and exported in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from parsl_diaspora.events import RunEnded, TaskEnded, TaskSubmitted, TryEnded, TryStarted
from tests.fabric.old_logs import damage, segment

SIZE = 2_000_000_000
MOST = 64_000  # kB
MEASURED = """
import json, re, sys
from pathlib import Path
from parsl_diaspora.cli.main import main
status = main(sys.argv[1:])
most = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # of this program alone
print(json.dumps([status, int(most.group(1))]), file=sys.stderr)
"""


def make(number):
    task, step = divmod(number - 1, 4)
    kind = (TaskSubmitted, TryStarted, TryEnded, TaskEnded)[step]
    extra = {"func": "f" * 900} if step == 0 else {}
    return kind(
        source="s", boot="ab", seq=number, time=1e9 + number, run="r", task=task, try_id=0, node="n", **extra
    )


@pytest.fixture
def large(directory):
    batch, size, number = 60, 0, 0
    while size < SIZE:
        stem = f"elsewhere.7.ab.{number:04d}"
        first = number * 3000 * batch + 1
        path, ends = segment(directory, [batch] * 3000, first=first, name=stem, make=make)
        size += ends[-1]
        number += 1
    segment(
        directory,
        [1],
        name="elsewhere.8.cd.0000",
        make=lambda n: RunEnded(source="t", boot="cd", seq=n, time=2e9, run="r"),
    )
    return path, ends


@pytest.mark.slow
def test_two_gigabytes_in_little_memory(directory, large, tmp_path):
    for path in directory.glob("*.events"):
        os.utime(path, (1e9, 1e9))
    damage(*large, 5)
    os.utime(large[0], (1e9, 1e9))
    for command, expected in (
        (["verify", "--json"], 1),
        (["repair"], 0),
        (["compact", "--no-copy"], 0),
        (["export", "-o", str(tmp_path / "out.jsonl")], 0),
    ):
        program = [sys.executable, "-c", MEASURED, "events", *command, "--fabric", f"file:{directory}"]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        status, most = json.loads(done.stderr.splitlines()[-1])
        print(command[0], most, "kB")
        assert (status, most < MOST) == (expected, True), (command, most, done.stderr)
        (tmp_path / "out.jsonl").unlink(missing_ok=True)
