"""How a number went lately: what lasted, and what is over."""

from __future__ import annotations

from collections import deque


class Trend:
    """The newest values of a number.

    Args:
        span: seconds that it looks back at most.

    Example:
        >>> wanted = Trend(60.0)
        >>> for at, value in [(0.0, 0), (10.0, 8), (20.0, 2)]:
        ...     wanted.note(at, value)
        >>> wanted.least(20.0, 15.0), wanted.most(20.0, 15.0), wanted.least(20.0, 5.0)
        (0, 8, 2)
    """

    def __init__(self, span: float) -> None:
        self._span = span
        self._values: deque[tuple[float, int]] = deque()

    def note(self, now: float, value: int) -> None:
        """The number has this value from now on."""
        if not self._values or self._values[-1][1] != value:
            self._values.append((now, value))
        while len(self._values) > 1 and self._values[1][0] <= now - self._span:
            self._values.popleft()

    def least(self, now: float, seconds: float) -> int:
        """The smallest value that it had in the last seconds: what has lasted. 0 before it was noted."""
        if not self._values or self._values[0][0] > now - seconds:
            return 0
        return min(self._since(now - seconds))

    def most(self, now: float, seconds: float) -> int:
        """The largest value that it had in the last seconds."""
        return max(self._since(now - seconds), default=0)

    def _since(self, start: float) -> list[int]:
        later = [value for at, value in self._values if at > start]
        before = [value for at, value in self._values if at <= start]
        return [*before[-1:], *later]
