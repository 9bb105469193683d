"""Under which names the states of tasks are kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from parsl_diaspora import Checkpoint
from parsl_diaspora.monitoring.checkpointing.keys import Keys


def simulate(seed, size=3):
    return seed


def record(number, *args, run="run", **kwargs):
    return {
        "id": number,
        "func": simulate,
        "func_name": "simulate",
        "args": args,
        "kwargs": kwargs,
        "ignore_for_cache": [],
        "dfk": SimpleNamespace(run_id=run),
    }


def key_of(*args, options=None, run="run", **kwargs):
    return Keys().of(record(0, *args, run=run, **kwargs), options or Checkpoint())


def test_a_key_is_the_same_in_another_process_and_run():
    program = (
        "from tests.monitoring.checkpointing.test_keys import key_of; print(key_of(7, run='other', size=2))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == key_of(7, size=2)
    assert key_of(7, size=2) != key_of(8, size=2)


def test_tasks_that_are_alike_are_numbered_and_keep_their_numbers():
    keys = Keys()
    first, second = keys.of(record(1, 7), Checkpoint()), keys.of(record(2, 7), Checkpoint())
    assert first != second
    assert keys.of(record(1, 7), Checkpoint()) == first
    assert [first[-2:], second[-2:]] == ["-1", "-2"]


def test_names_in_braces_stand_for_arguments_and_their_defaults():
    options = Checkpoint(key="sum-{seed}-{size}")
    assert key_of(7, options=options).startswith("sum-7-3-")
    assert key_of(seed=7, size=4, options=options).startswith("sum-7-4-")


def test_a_key_is_the_name_of_a_directory():
    key = key_of("../../etc/passwd", options=Checkpoint(key="{seed}/x y"))
    assert "/" not in key
    assert " " not in key


@pytest.mark.parametrize("run", ["one", "two"])
def test_arguments_that_cannot_be_told_from_others_serve_their_own_run_only(run):
    assert key_of(threading.Lock(), run=run).startswith(run)
