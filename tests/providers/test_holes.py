"""Free parts of a queue, as Slurm tells them."""

from __future__ import annotations

from datetime import datetime

import pytest
from parsl.providers import LocalProvider, SlurmProvider

from parsl_diaspora.errors import PoolError
from parsl_diaspora.providers.holes import OLD, Holes
from parsl_diaspora.providers.queues import Answer
from parsl_diaspora.testing.clock import VirtualClock


class Told(SlurmProvider):
    """A provider of a partition; no scheduler is asked as it is made."""

    def __init__(self):
        self.partition = "main"


def holes(clock, idle, pending):
    asked = []

    def call(command):
        asked.append(command)
        answer = idle if command[0] == "sinfo" else pending
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(0, answer, "")

    return Holes(clock, call), asked


def at(clock, seconds):
    return datetime.fromtimestamp(clock.time() + seconds).strftime("%Y-%m-%dT%H:%M:%S")  # noqa: DTZ006


def test_idle_nodes_for_which_nobody_waits_are_free_for_ever():
    found, asked = holes(VirtualClock(), "2\n1\n", "")
    assert found.of(Told()) == (3, float("inf"))
    assert all("--partition=main" in command for command in asked)


def test_those_for_which_somebody_waits_are_free_until_his_planned_start():
    clock = VirtualClock()
    found, _ = holes(clock, "2\n", f"{at(clock, 900)}\n{at(clock, 300)}\n")
    assert found.of(Told()) == (2, 300.0)


@pytest.mark.parametrize(
    ("idle", "pending"),
    [
        ("", ""),
        ("2\n", "N/A\n"),
        (Answer(1, "", "slurm_load_partitions: Unable to contact slurm controller"), ""),
        (PoolError("sinfo has not answered for 30 s."), ""),
    ],
    ids=["none is idle", "no plan", "no answer", "too late"],
)
def test_what_is_not_known_is_no_hole(idle, pending):
    found, _ = holes(VirtualClock(), idle, pending)
    assert found.of(Told()) is None


def test_a_scheduler_is_asked_once_a_minute():
    clock = VirtualClock()
    found, asked = holes(clock, "1\n", "")
    provider = Told()
    for _ in range(10):
        found.of(provider)
        clock.advance(OLD / 10 - 0.1)
    assert len(asked) == 2
    clock.advance(OLD)
    found.of(provider)
    assert len(asked) == 4


def test_others_tell_nothing():
    assert Holes(VirtualClock()).of(LocalProvider()) is None
