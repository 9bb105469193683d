"""How long tasks run at an executor until their worker is lost."""

from __future__ import annotations

import pytest

from parsl_diaspora.events import Failure, TryEnded, TryFailed, TryStarted
from parsl_diaspora.monitoring.checkpointing.failures_between import SECONDS, FailuresBetween


class Now:
    """A clock that is set."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def run(between, now, seconds, phase, executor="cpu"):
    where = {"task": 1, "try_id": 0, "executor": executor}
    between.hear(TryStarted(**where))
    now.time += seconds
    ended = TryFailed(**where, failure=Failure(phase=phase)) if phase else TryEnded(**where)
    between.hear(ended)


def test_what_is_believed_at_first_fades_as_losses_are_seen():
    now = Now()
    between = FailuresBetween(now)
    assert between.seconds("cpu") == SECONDS
    told = []
    for _ in range(200):
        run(between, now, 100.0, "lost")
        told.append(between.seconds("cpu"))
    assert told == sorted(told, reverse=True)
    assert told[-1] == pytest.approx(100.0, rel=0.1)
    assert between.seconds("other") == SECONDS


@pytest.mark.parametrize("phase", ["", "run"])
def test_tries_that_end_or_fail_by_themselves_are_no_losses(phase):
    now = Now()
    between = FailuresBetween(now)
    for _ in range(10):
        run(between, now, 100.0, phase)
    assert between.seconds("cpu") == SECONDS + 1000.0
