"""At most so many of something within any span of time."""

from __future__ import annotations

from collections import deque


class Throttle:
    """A sliding window: however it is used, no stretch of that length holds more than are allowed.

    Args:
        most: how many; None for no limit.
        span: seconds.

    Example:
        >>> throttle = Throttle(2, 10.0)
        >>> [throttle.allows(now) for now in (0, 1, 2, 10, 11)]
        [True, True, False, True, True]
        >>> throttle.wait(12), throttle.recent(12)
        (8.0, 2)
    """

    def __init__(self, most: int | None, span: float) -> None:
        self._most = most
        self._span = span
        self._times: deque[float] = deque(maxlen=most)

    def allows(self, now: float) -> bool:
        """Whether one more is within the limit; counts it if so."""
        if self.wait(now) > 0:
            return False
        self.note(now)
        return True

    def note(self, now: float) -> None:
        """Count one, whatever the limit is."""
        if self._most is not None:
            self._times.append(now)

    def wait(self, now: float) -> float:
        """Seconds until one more is within the limit; 0 if it is now."""
        if self._most is None or len(self._times) < self._most:
            return 0.0
        return max(0.0, self._times[0] + self._span - now)

    def recent(self, now: float) -> int:
        """How many there were within the span before now, as far as they are counted."""
        return sum(when > now - self._span for when in self._times)
