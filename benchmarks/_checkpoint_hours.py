"""Time lost a kill at tasks of an hour: a simulation from costs that were measured. Used by checkpoint.py."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _checkpoint_core import Bench, change, restored_in
from _checkpoint_rows import Measured, Row, Sizes, megabytes, seconds

from parsl_diaspora.checkpoint import best_interval

HOUR = 3600.0
BETWEEN = HOUR  # mean seconds between two failures of a worker
RESTART = 3.0  # seconds from a kill to the next try, where no kill was measured in this run
_DIRTY = 0.2


class Costs(NamedTuple):
    """What was measured, in seconds.

    Attributes:
        stop: of the task for a save.
        cpu: that the thread behind it takes, as much as the task may lose where no core is idle.
        written: from the stop until the save is safe.
        restore: to read a state.
        restart: from a kill to the beginning of the next try.
    """

    stop: float
    cpu: float
    written: float
    restore: float
    restart: float

    @property
    def save(self) -> float:
        """What a save costs the task at most."""
        return self.stop + self.cpu


def hours(place: Path, sizes: Sizes, measured: Measured) -> list[Row]:
    """The same kills with and without checkpoints, for a large and a small state."""
    rows = []
    for size in dict.fromkeys((sizes.task_state, sizes.state)):
        costs = measure(place / str(size), size, sizes.rounds, measured.get("restart", RESTART))
        interval = best_interval(costs.save, BETWEEN)
        without = lost_a_kill(costs, math.inf, sizes.hours)
        ours = lost_a_kill(costs, interval, sizes.hours)
        name = f"lost a kill, task of an hour, {megabytes(size)}, saved every {seconds(interval)}"
        rows.append(
            Row(name, f"none {seconds(without)}", seconds(ours), without / ours, 100.0, at_least=True)
        )
    return rows


def measure(place: Path, size: int, rounds: int, restart: float) -> Costs:
    """Costs of a state of so many bytes, a fifth of which changes from save to save."""
    bench = Bench(place, size)
    bench.save()
    saves = []
    for number in range(rounds):
        change(bench.state, _DIRTY, number)
        saves.append(bench.save()[1])
    restores = [restored_in(bench) for _ in range(rounds)]
    bench.close()
    stop, cpu, written = (
        statistics.median(getattr(save, name) for save in saves) for name in ("stopped", "cpu", "seconds")
    )
    return Costs(stop, cpu, written, statistics.median(restores), restart)


def lost_a_kill(costs: Costs, interval: float, tasks: int, seed: int = 1) -> float:
    """Seconds over the pure work, divided by kills; tasks are killed at random, once in `BETWEEN` on average.

    Args:
        costs: of saves, restores and new starts.
        interval: seconds of work between two saves; infinite for none.
        tasks: of an hour each.
        seed: the same kills for the same seed.
    """
    chance = np.random.default_rng(seed)
    lost, kills = 0.0, 0
    for _ in range(tasks):
        spent, failures = _one_task(costs, interval, chance)
        lost += spent - HOUR
        kills += failures
    return lost / max(1, kills)


def _one_task(costs: Costs, interval: float, chance: np.random.Generator) -> tuple[float, int]:
    """Seconds until it is done, and how often it was killed."""
    safe = spent = 0.0
    for failures in range(1_000_000):
        begin = costs.restore if safe else 0.0
        left = HOUR - safe
        saves = 0 if math.isinf(interval) else math.ceil(left / interval) - 1
        whole = begin + left + saves * costs.save
        killed_at = chance.exponential(BETWEEN)
        if killed_at >= whole:
            return spent + whole, failures
        spent += killed_at + costs.restart
        if saves:
            good = math.floor((killed_at - begin - costs.written) / (interval + costs.save))
            safe += interval * min(max(good, 0), saves)
    message = "The task never came to its end."
    raise RuntimeError(message)
