"""The parts on their own: publishing, the state's memory, the time of a decision. Used by overhead.py."""

from __future__ import annotations

import gc
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from parsl.dataflow.states import States

from parsl_diaspora import Settings
from parsl_diaspora.events import (
    Event,
    Failure,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryStarted,
    decode,
    encode,
)
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.failures import diagnose
from parsl_diaspora.monitoring.deciding.retries import RetryHandler
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.recovery import Situation, decide
from parsl_diaspora.state import Picture

RUN = "0c8d9d3e-6f0e-4b52-9d5c-2a9f6f1f7c11"
PACE = 10_000  # events a second


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum in microseconds."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        "p50": ordered[last // 2] * 1e6,
        "p99": ordered[int(last * 0.99)] * 1e6,
        "max": ordered[last] * 1e6,
    }


# --- publish() ---


def publish_times(count: int, *, paced: bool) -> dict[str, float]:
    """What ``publish()`` costs its caller while another thread computes, as Parsl's own threads do."""
    with tempfile.TemporaryDirectory() as directory, _computing():
        publisher = open_fabric(f"file:{directory}").publisher("benchmark", buffer=2 * count)
        taken = []
        first_due = time.perf_counter()
        for number in range(count):
            event = TaskSubmitted(run=RUN, task=number, try_id=0, executor="htex", func="noop")
            if paced:
                _work_until(first_due + number / PACE)
            before = time.perf_counter()
            publisher.publish(event)
            taken.append(time.perf_counter() - before)
        report = publisher.close(60)
        assert report.safe == count, report
    return percentiles(taken)


def _work_until(due: float) -> None:
    """Between events a Parsl thread works; if it slept it would queue for the interpreter each time."""
    while time.perf_counter() < due:
        pass


class _computing:  # noqa: N801 - reads as what it does
    """A thread that computes in Python for as long as the block lasts."""

    def __enter__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._compute, name="computing", daemon=True)
        self._thread.start()

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _compute(self) -> None:
        while not self._stop.is_set():
            sum(number * number for number in range(1_000))


# --- state ---


def bytes_per_task(count: int) -> float:
    """Memory that the picture keeps for each finished task."""
    picture = Picture(RUN)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(count):
        for event in _events_of(number):
            picture.fold(event)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert picture.counts["done"] == count
    return (after - before) / count


def _events_of(number: int) -> Iterator[Event]:
    place: dict[str, Any] = {"executor": "htex", "block": "0", "manager": "5f0c1de31f53", "node": "node-17"}
    yield TaskSubmitted(run=RUN, task=number, try_id=0, executor="htex", func="noop", time=1e9)
    started = TryStarted(run=RUN, task=number, try_id=0, worker=number % 2, pid=10_000, time=1e9, **place)
    yield decode(encode(started))  # it came from a worker, so each of its strings is a new one
    ended = TryEnded(run=RUN, task=number, try_id=0, worker=number % 2, seconds=0.25, time=1e9, **place)
    yield decode(encode(ended))  # built from the worker's report, so this holds for it as well
    yield TaskEnded(run=RUN, task=number, outcome="done", tries=1, time=1e9)


# --- decisions ---


def decision_times(tasks: int, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """With so many tasks in the state: diagnosis and decision alone, and the retry handler's whole answer."""
    with tempfile.TemporaryDirectory() as directory:
        session = Session(Settings(move="any", quarantine_after=0), 1, ("htex", "spare"))
        session.open(directory)
        live = session.begin(RUN)
        for number in range(tasks):
            for event in _events_of(number):
                live.picture.fold(event)
        failing = range(tasks, tasks + count)
        for number in failing:
            for event in list(_events_of(number))[:2]:
                live.picture.fold(event)
        alone = [_time_of_decision(live.picture, session.settings, number) for number in failing]
        handler = RetryHandler(session)
        whole = [_time_of_answer(handler, number) for number in failing]
        assert live.picture.counts["decisions"] == count
        assert not live.faults, live.faults
        session.end()
        assert Path(directory, "events").is_dir()
    return percentiles(alone), percentiles(whole)


def _time_of_decision(picture: Picture, settings: Settings, number: int) -> float:
    failure = Failure(chain=("builtins.ValueError", "builtins.Exception"), frame="model.py:fit:12")
    before = time.perf_counter()
    diagnosis = diagnose(failure, picture.tasks[number])
    situation = Situation(failure=failure, diagnosis=diagnosis, executor="htex", other_executors=("spare",))
    decision = decide(situation, settings)
    taken = time.perf_counter() - before
    assert decision.rule == "second-opinion-move"
    return taken


def _time_of_answer(handler: RetryHandler, number: int) -> float:
    executors = {label: SimpleNamespace(bad_state_is_set=False) for label in ("htex", "spare")}
    task = {
        "dfk": SimpleNamespace(run_id=RUN, executors=executors),
        "id": number,
        "try_id": 0,
        "executor": "htex",
        "func": _failing,
        "func_name": "noop",
        "status": States.launched,
        "from_memo": False,
        "fail_cost": 0.0,
        "args": (),
        "kwargs": {},
        "depends": [],
    }
    try:
        _failing()
    except ValueError as raised:
        error = raised
        before = time.perf_counter()
        cost = handler(error, task)
        taken = time.perf_counter() - before
    assert cost == 0.0
    assert task["executor"] == "spare"
    return taken


def _failing() -> None:
    message = "no convergence"
    raise ValueError(message)
