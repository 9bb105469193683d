"""A process that dies before, in, or after any of its writes loses nothing that was acknowledged."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("script", "deaths"),
    [("immediate", 40), ("queued", 25), ("full disk", 20), ("reader", 20), ("relay", 6)],
)
def test_death_at_any_write_loses_nothing_that_was_acknowledged(tmp_path, script, deaths):
    command = [sys.executable, "-W", "ignore", "-m", "tests.fabric.boundaries", str(tmp_path), script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    died, wrong = json.loads(done.stdout)
    print(f"{script}: {died} deaths")
    assert died >= deaths
    assert wrong == []
