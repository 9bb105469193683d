"""Programs without pools, and this process as one of Parsl's workers."""

from __future__ import annotations

import signal

import pytest

from parsl_diaspora.executors.supervision.board import STOP_SIGNAL, VARIABLE, Board
from parsl_diaspora.monitoring import runner
from parsl_diaspora.monitoring.worker import place, speaking
from tests.monitoring.fakes import Program


@pytest.fixture
def program(tmp_path):
    """Makes programs whose hooks are called by hand; they end with the test."""
    made = []

    def make(*labels, **arguments):
        made.append(Program(tmp_path, *labels, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.memoizer.close()


@pytest.fixture
def worker(monkeypatch):
    """A worker of rank 3 that has not run anything yet."""
    for name, value in (("POOL_ID", "m1"), ("BLOCK_ID", "2"), ("RANK", "3")):
        monkeypatch.setenv(f"PARSL_WORKER_{name}", value)
    monkeypatch.setattr(speaking, "_unsaid", "")
    monkeypatch.setattr(runner, "_runner", None)
    handler = signal.getsignal(STOP_SIGNAL)
    place.forget()
    speaking.publisher_of.cache_clear()
    yield
    place.forget()
    speaking.publisher_of.cache_clear()
    signal.signal(STOP_SIGNAL, handler)


@pytest.fixture
def board(worker, monkeypatch, tmp_path):
    """The board of that worker's pool."""
    del worker
    made = Board.create(tmp_path / "board")
    monkeypatch.setenv(VARIABLE, str(made.path))
    yield made
    made.remove()
