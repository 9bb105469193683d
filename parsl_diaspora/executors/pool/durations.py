"""How long functions take, and which copies take too long."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

KEPT = 200  # newest durations of each function
FUNCTIONS = 2_000  # of which durations are kept, the newest


class Durations:
    """The newest durations of each function, for quantiles.

    Example:
        >>> durations = Durations()
        >>> for seconds in range(1, 11):
        ...     durations.learn("f", float(seconds))
        >>> durations.quantile("f", 0.9, least=10), durations.quantile("f", 0.9, least=11)
        (9.0, None)
        >>> durations.usual("f")
        5.0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: OrderedDict[str, deque[float]] = OrderedDict()

    def learn(self, key: str, seconds: float) -> None:
        """A copy of a function's work has succeeded."""
        with self._lock:
            if (newest := self._newest.get(key)) is None:
                newest = self._newest[key] = deque(maxlen=KEPT)
                if len(self._newest) > FUNCTIONS:
                    self._newest.popitem(last=False)
            newest.append(seconds)

    def quantile(self, key: str, part: float, *, least: int) -> float | None:
        """Seconds within which this part of a function's tries have ended; None while too few have."""
        with self._lock:
            newest = sorted(self._newest.get(key, ()))
        if len(newest) < least:
            return None
        return newest[max(0, min(len(newest) - 1, round(part * len(newest)) - 1))]

    def usual(self, key: str) -> float:
        """Seconds that half of a function's tries take at most; 0 if none has ended."""
        return self.quantile(key, 0.5, least=1) or 0.0
