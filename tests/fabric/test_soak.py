"""What was acknowledged is there after any kills of writers, readers and the relay."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.fabric.relay import make_keys
from parsl_diaspora.testing.history import check


def soak(directory, kills):
    """A history with this many kills, and the judge's verdict over it."""
    seed = int(os.environ.get("SOAK_SEED", random.randrange(2**32)))
    print(f"SOAK_SEED={seed}")
    make_keys(directory / "keys")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.fabric.soak",
        str(directory),
        str(seed),
        str(kills),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    print(done.stderr)
    assert done.returncode == 0, done.stderr
    killed = Counter(json.loads(done.stdout))
    verdict = check(sorted((directory / "notes").iterdir()))
    print(f"killed: {dict(killed)}\n{verdict}")
    return killed, verdict, done.stderr


def hold(directory, kills):
    killed, verdict, said = soak(directory, kills)
    assert killed.total() >= kills
    assert all(killed[role] for role in ("file queued", "file immediate", "relay queued", "relay immediate"))
    assert killed["reader"] >= 2
    assert killed["hub"] >= 2
    assert verdict.holds, str(verdict)
    assert verdict.safe > 20 * kills
    assert "Traceback" not in said
    found = verify(directory / "events")
    assert found.whole, found
    assert found.duplicates == 0


def test_nothing_acknowledged_is_lost_when_writers_readers_and_relay_are_killed(tmp_path):
    hold(tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_in_hundreds_of_kills(tmp_path):
    hold(tmp_path, 500)
