"""A try is handed back where its block ends before it could."""

from __future__ import annotations

import time

import pytest

from parsl_diaspora.executors.launch import MAX_DECLINES, Launch, Report
from parsl_diaspora.monitoring.worker.declining import declines
from parsl_diaspora.settings import BLOCK_ENDS_VARIABLE

HERE = Report("0", "m1", 3, "n17", 4711)


def launch(**told):
    return Launch(**{"run": "r", "task": 1, "try_id": 0, "executor": "cpu", **told})


@pytest.mark.parametrize(
    ("left", "needs", "declined"), [(60, 300.0, True), (600, 300.0, False), (60, 0.0, False)]
)
def test_a_try_is_handed_back_where_its_block_ends_before_it_would(monkeypatch, left, needs, declined):
    monkeypatch.setenv(BLOCK_ENDS_VARIABLE, str(int(time.time()) + left))
    assert declines(launch(seconds=needs), HERE) is declined


@pytest.mark.parametrize("told", ["", "soon"])
def test_where_nobody_tells_when_a_block_ends_it_runs(monkeypatch, told):
    monkeypatch.setenv(BLOCK_ENDS_VARIABLE, told)
    assert not declines(launch(seconds=300.0), HERE)


def test_a_try_that_nobody_had_time_for_runs_in_the_end(monkeypatch):
    monkeypatch.setenv(BLOCK_ENDS_VARIABLE, str(int(time.time()) + 5))
    assert not declines(launch(seconds=300.0, declined=MAX_DECLINES), HERE)
