"""How long tasks run at an executor until their worker is lost, from what this run has seen."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from parsl_diaspora.events import Event, TryEnded, TryFailed, TryStarted

#: What is believed before anything is seen: one loss in a day of running.
SECONDS, LOSSES = 86_400.0, 1.0


class FailuresBetween:
    """Counts seconds that tries ran and losses of their workers, by executor.

    Args:
        now: seconds that never go back.

    Example:
        >>> FailuresBetween().seconds("cpu")
        86400.0
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._begun: dict[tuple[int | None, int | None], float] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._losses: defaultdict[str, int] = defaultdict(int)

    def hear(self, event: Event) -> None:
        """Take note of an event of the run."""
        key = event.task, event.try_id
        if isinstance(event, TryStarted):
            self._begun[key] = self._now()
        elif isinstance(event, (TryEnded, TryFailed)):
            begun, executor = self._begun.pop(key, None), event.executor or ""
            if begun is not None:
                self._seconds[executor] += self._now() - begun
                self._losses[executor] += isinstance(event, TryFailed) and event.failure.phase == "lost"

    def seconds(self, executor: str) -> float:
        """Mean time between two losses of a worker there."""
        ran, lost = self._seconds.get(executor, 0.0), self._losses.get(executor, 0)
        weight = 1.0 / (1.0 + lost)  # what was believed fades as losses are seen
        return (weight * SECONDS + ran) / (weight * LOSSES + lost)
