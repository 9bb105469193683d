"""How often to save: what is lost in a failure against what saving costs (Young 1974, Daly 2006)."""

from __future__ import annotations

import math

DAY = 86_400.0
FIRST = 5.0  # seconds until the first save, when its cost is not known yet
LEAST = 5.0
PART = 0.01  # of the time that saves may take before failures are so frequent that more is better
_MEMORY = 0.5  # weight of what was known in a mean that goes with the time


def best_interval(cost: float, between_failures: float) -> float:
    """Seconds of work between two saves for which the least time is lost in all.

    Args:
        cost: seconds that a save costs the task.
        between_failures: mean seconds between two failures.

    Returns:
        Daly's approximation of higher order; for saves that cost half as much as lies between two
        failures or more, that time.

    Example:
        >>> round(best_interval(cost=1.0, between_failures=3600.0))
        84
    """
    if cost <= 0.0:
        return 0.0
    if cost >= between_failures / 2:
        return between_failures
    ratio = cost / (2.0 * between_failures)
    return math.sqrt(2.0 * cost * between_failures) * (1.0 + math.sqrt(ratio) / 3.0 + ratio / 9.0) - cost


class Interval:
    """The time between two saves of a task, corrected as its cost and the failures are learned.

    How often failures come is a belief, until some are seen: so saves are made at least as often as they take
    one hundredth of the time.

    Args:
        fixed: seconds that somebody asked for; None to find the best.
        between_failures: mean seconds between two failures at the place where the task runs.

    Example:
        >>> interval = Interval(None, between_failures=3600.0)
        >>> interval.seconds
        5.0
        >>> interval.learn(cost=1.0, written=4.0)
        >>> round(interval.seconds)
        84
    """

    def __init__(self, fixed: float | None = None, between_failures: float = DAY) -> None:
        self._fixed = fixed
        self._between = between_failures
        self.cost: float | None = None
        self.written = 0.0

    def learn(self, cost: float, written: float) -> None:
        """A save was made.

        Args:
            cost: seconds that it cost the task: stopped, and of a processor beside it.
            written: seconds until it was safe.
        """
        known = self.cost
        self.cost = cost if known is None else known * _MEMORY + cost * (1.0 - _MEMORY)
        self.written = max(written, self.written * _MEMORY)

    @property
    def seconds(self) -> float:
        """From the end of one save to the next."""
        if self._fixed is not None:
            return self._fixed
        if self.cost is None:
            return FIRST
        best = min(best_interval(self.cost, self._between), self.cost / PART)
        return max(best, LEAST, self.written)

    @property
    def margin(self) -> float:
        """Seconds before the end of a block at which the last save must begin."""
        return 5.0 + 3.0 * max(self.written, self.cost or 0.0)
