"""What a task changed in its worker, the next one does not find."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.monitoring.worker import stage


def played(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "tests.monitoring.worker.stage", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def told():
    return played()


@pytest.fixture(scope="module")
def kept():
    return played("keep")


@pytest.mark.parametrize("name", stage.CASES)
def test_the_next_task_finds_what_the_one_before_found(told, name):
    before, after, _, stuck = told[name]
    assert before == after
    assert stuck == []


def test_a_task_that_fails_is_cleared_up_after_as_well(told):
    assert told["directory of a failure"][2] == "builtins.ValueError"
    assert told["address space"][2] == "builtins.MemoryError"


def test_the_changes_are_real_ones_as_a_program_that_wants_to_keep_them_sees(kept):
    assert {name for name, (before, after, *_) in kept.items() if before != after} == set(stage.KEPT)


def test_what_cannot_be_put_back_is_told_with_each_report_and_as_much_as_can_be_is():
    soft, stuck, found, again, at_last, nice = played("spoil")
    assert stuck == again == ["the limit RLIMIT_NOFILE"]
    assert found == [soft - 10, soft - 10]
    assert at_last == ["the limit RLIMIT_NOFILE", "its priority"]
    assert nice == 3
