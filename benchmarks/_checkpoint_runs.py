"""What checkpoints cost and save in real runs: the same task with and without them. Used by checkpoint.py."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import parsl
from _checkpoint_apps import moved, plain, saved
from _checkpoint_rows import Measured, Row, Sizes, megabytes, seconds
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora import migrate, open_fabric, resilient
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import MigrationDone
from parsl_diaspora.state import read_events
from parsl_diaspora.testing.processes import worker_init
from parsl_diaspora.testing.shutdown import shut_down

PACE = 0.05  # seconds between two steps of a task that is killed
_TRIAL = 20  # steps by which the length of a step is found
_LINES = 200  # bytes at the end of a trail that hold its last line
_PATIENCE = 120.0
_WINDOW = 0.2, 0.9  # part of the task at which it is killed


def events_url(place: Path) -> str:
    """Where events of a program go."""
    return f"file:{place / 'events'}"


@contextmanager
def program(place: Path, workers: int, labels: tuple[str, ...] = ("cpu",)) -> Iterator[None]:
    """A resilient program with such pools; nothing of it is left afterwards."""
    mark = f"checkpoint-{uuid.uuid4().hex[:8]}"
    paths = ":".join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    variables = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    executors = [
        HighThroughputExecutor(
            label=label,
            address="127.0.0.1",
            loopback_address="127.0.0.1",
            encrypted=True,
            max_workers_per_node=workers,
            cores_per_worker=0.01,
            provider=LocalProvider(min_blocks=1, worker_init=worker_init(mark, label, variables)),
        )
        for label in labels
    ]
    config = Config(executors=executors, run_dir=str(place), strategy="none", initialize_logging=False)
    kernel = parsl.load(resilient(config, fabric=events_url(place)))
    try:
        yield
    finally:
        shut_down(kernel, mark)


# ------------------------------------------------------------------ overhead


def overhead(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """Time of a task that computes all the time, with checkpoints at the automatic interval and without."""
    size = sizes.task_state
    with program(place, workers=1):
        trial = plain(size, _TRIAL, 0.0, "").result()
        steps = max(_TRIAL, round(sizes.task / sizes.rounds / 2 / trial["seconds"] * _TRIAL))
        pairs = []
        for number in range(sizes.rounds):
            apps = (plain, saved) if number % 2 else (saved, plain)
            pairs.append({app is saved: app(size, steps, 0.0, "").result() for app in apps})
    assert len({pair[kind]["sum"] for pair in pairs for kind in pair}) == 1
    return [_overhead(pairs, "seconds", "run time"), _overhead(pairs, "cpu", "processor time")]


def _overhead(pairs: list[dict[bool, dict[str, float]]], what: str, name: str) -> Row:
    ratio = statistics.median(pair[True][what] / pair[False][what] for pair in pairs)
    without, ours = (statistics.median(pair[kind][what] for pair in pairs) for kind in (False, True))
    return Row(f"{name} with checkpoints", f"none {seconds(without)}", seconds(ours), ratio, 1.03)


# ------------------------------------------------------------------ kills


class Step(NamedTuple):
    """A line that a task has written."""

    time: float
    pid: int
    number: int

    @classmethod
    def of(cls, line: str) -> Step:
        """From such a line."""
        at, pid, number = line.split()
        return cls(float(at), int(pid), int(number))


class Victim:
    """A task that is killed once, at a part of its work."""

    def __init__(self, app: Any, trail: Path, sizes: Sizes, kill_at: float | None) -> None:
        self._trail = trail
        self._steps = round(sizes.task / PACE)
        self._kill_at = kill_at
        self.killed: float | None = None
        self.future: Future[Any] = app(sizes.task_state, self._steps, PACE, str(trail))

    def steps(self) -> list[Step]:
        """What it wrote so far."""
        if not self._trail.exists():
            return []
        return [Step.of(line) for line in self._trail.read_text().split("\n")[:-1]]

    def last(self) -> Step | None:
        """The newest of them."""
        if not self._trail.exists():
            return None
        with self._trail.open("rb") as file:
            file.seek(max(0, self._trail.stat().st_size - _LINES))
            lines = file.read().decode().split("\n")[:-1]
        return Step.of(lines[-1]) if lines else None

    def look(self) -> None:
        """Kill it if it is time."""
        if self._kill_at is None or self.killed is not None:
            return
        last = self.last()
        if last is not None and last.number >= self._kill_at * self._steps:
            os.kill(last.pid, signal.SIGKILL)
            self.killed = time.time()

    @property
    def seconds(self) -> float:
        """From its first step to its last one."""
        steps = self.steps()
        return steps[-1].time - steps[0].time

    @property
    def restart(self) -> float:
        """Seconds from the kill to the first step of the next try."""
        assert self.killed is not None
        return next(step.time for step in self.steps() if step.time > self.killed + PACE) - self.killed


def kills(place: Path, sizes: Sizes, measured: Measured) -> list[Row]:
    """Time lost a kill: tasks with and without checkpoints side by side, killed at the same parts."""
    chance = random.Random(7)
    moments = [chance.uniform(*_WINDOW) for _ in range(sizes.tasks)]
    with program(place, workers=2 * sizes.tasks + 1):
        calm = Victim(plain, place / "calm", sizes, None)
        hit = {
            app is saved: [
                Victim(app, place / f"{app is saved}-{number}", sizes, moment)
                for number, moment in enumerate(moments)
            ]
            for app in (plain, saved)
        }
        everyone = [calm, *hit[True], *hit[False]]
        while not all(each.future.done() for each in everyone):
            for each in everyone:
                each.look()
            time.sleep(0.02)
        assert len({each.future.result()["sum"] for each in everyone}) == 1
    lost = {kind: statistics.mean(each.seconds - calm.seconds for each in hit[kind]) for kind in hit}
    measured["restart"] = statistics.median(each.restart for each in hit[True])
    name = f"lost a kill, real task of {seconds(sizes.task)}, {megabytes(sizes.task_state)}"
    words = f"none {seconds(lost[False])}", seconds(lost[True])
    return [
        Row(name, *words, lost[False] / max(lost[True], 1e-3), 10.0, at_least=True),
        Row(
            "  from the kill to the next step",
            f"lost {words[1]}",
            seconds(measured["restart"]),
            measured["restart"] / max(lost[True], 1e-3),
        ),
    ]


# ------------------------------------------------------------------ migration


def migration(place: Path, sizes: Sizes, _: Measured) -> list[Row]:
    """How long nobody works while a task moves that changes its state all the time."""
    end = place / "end"
    with program(place, workers=1, labels=("left", "right")):
        future = moved(sizes.state, sizes.dirty, str(end))
        arrivals = [_moved(future) for _ in range(sizes.rounds)]
        end.touch()
        done = future.result(timeout=_PATIENCE)
    assert round(done["added"]) == done["steps"], "what it added is not what its steps add"
    finished = [
        each for each in read_events(open_fabric(events_url(place))) if isinstance(each, MigrationDone)
    ]
    assert len(finished) == sum(arrivals) >= 1
    typical = statistics.median(each.downtime for each in finished)
    name = f"nobody works in a move, {megabytes(sizes.state)} changing {megabytes(sizes.dirty)}/s"
    return [Row(name, "goal 500 ms", seconds(typical), typical / 0.5, 1.0)]


def _moved(future: Any) -> bool:
    """Move the task to the other executor as soon as it can be; whether it has arrived."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        here = future.task_record["executor"]
        there = "left" if here == "right" else "right"
        try:
            return migrate(future, to=there).result(timeout=_PATIENCE)
        except ConfigurationError:  # it has not begun, or saved, yet
            time.sleep(0.2)
    return False
