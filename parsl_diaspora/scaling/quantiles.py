"""The newest values of something, and the value below which a part of them lies."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Iterable

KEPT = 128  # newest values
TYPICAL, LONG = 0.5, 0.9


class Quantiles:
    """The newest values of something, in order.

    Example:
        >>> waits = Quantiles([10.0, 20.0, 90.0])
        >>> waits.at(0.5), waits.mean, len(waits)
        (20.0, 40.0, 3)
    """

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []
        self._sum = 0.0
        for value in values:
            self.add(value)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: float) -> None:
        """Take in one value; the oldest is forgotten."""
        self._newest.append(value)
        bisect.insort(self._sorted, value)
        self._sum += value
        if len(self._newest) > KEPT:
            oldest = self._newest.popleft()
            del self._sorted[bisect.bisect_left(self._sorted, oldest)]
            self._sum -= oldest

    def at(self, part: float) -> float:
        """The smallest value that this part of them does not exceed.

        Raises:
            ValueError: there are none.
        """
        if not self._sorted:
            raise ValueError("There are no values yet.")
        rank = round(part * len(self._sorted))
        return self._sorted[max(0, min(len(self._sorted), rank) - 1)]

    @property
    def mean(self) -> float:
        """Their mean; 0 if there are none."""
        return self._sum / len(self._sorted) if self._sorted else 0.0
