"""Real processes that save all the time, killed and stopped at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import until

ROOT = Path(__file__).parents[2]
KILLS = 7


@contextmanager
def running(places, launch, path):
    """The stepping program, gone in the end."""
    command = [sys.executable, "-m", "tests.checkpoint.stepping", ",".join(map(str, places)), str(launch)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, str(path)], env=environment, cwd=path.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(path):
    """What a program told, in words; a line that was cut short is none."""
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]


def numbers(path, what):
    return [int(words[1]) for words in lines(path) if words[0] == what]


@pytest.fixture
def source():
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_program_that_is_killed_goes_on_from_the_newest_state_that_was_told_to_be_safe(
    tmp_path, source, levels
):
    places = [tmp_path / f"place{number}" for number in range(levels)]
    safe = 0
    for launch in range(1, KILLS + 1):
        told = tmp_path / f"told{launch}"
        with running(places, launch, told) as process:
            until(lambda told=told: numbers(told, "began"))
            time.sleep(source.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
        began = numbers(told, "began")[0]
        assert numbers(told, "wrong") == []
        assert began >= safe, f"launch {launch} begins at {began}, and {safe} was told to be safe"
        safe = max([began, *numbers(told, "safe")])
    print(f"steps that were safe after {KILLS} kills: {safe}")
    assert safe > 0
    unfinished = [path for place in places for path in place.rglob("*.part")]
    assert len(unfinished) <= levels, "what kills left behind fills the disk"


def test_an_orphan_that_wakes_when_its_successor_runs_takes_nothing_from_it(tmp_path, source):
    for turn in range(2):
        places = [tmp_path / f"place{turn}"]
        first, second, third = (tmp_path / f"told{turn}-{name}" for name in "abc")
        with running(places, 1, first) as orphan:
            until(lambda told=first: len(numbers(told, "safe")) > 1)
            time.sleep(source.uniform(0.0, 0.1))
            orphan.send_signal(signal.SIGSTOP)
            with running(places, 2, second) as successor:
                until(lambda told=second: len(numbers(told, "safe")) > 2)
                orphan.send_signal(signal.SIGCONT)
                until(lambda told=first: ["fenced"] in lines(told))
                seen = len(lines(second)) + 2
                until(lambda told=second, seen=seen: len(lines(told)) > seen)
                successor.send_signal(signal.SIGKILL)
        with running(places, 3, third):
            until(lambda told=third: numbers(told, "began"))
        began, safe = numbers(second, "began")[0], numbers(second, "safe")
        assert began >= max(numbers(first, "safe")), "the orphan was told of a save that does not count"
        assert numbers(third, "began")[0] >= max(safe)
        assert [
            words for told in (second, third) for words in lines(told) if words[0] in ("wrong", "failed")
        ] == []
