"""Time between looks, for whoever waits for something to last."""

from __future__ import annotations

from parsl_diaspora.clock import Clock

LONGEST_STEP = 2.0  # seconds that one look may count: if more passed, we were suspended ourselves


class Steps:
    """Tells how much time each look stands for.

    Args:
        clock: time.

    Example:
        >>> from parsl_diaspora.testing.clock import VirtualClock
        >>> clock = VirtualClock()
        >>> steps = Steps(clock)
        >>> clock.advance(1.5)
        >>> steps.next()
        1.5
        >>> clock.advance(3600.0)
        >>> steps.next()
        2.0
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked = clock.monotonic()

    def next(self) -> float:
        """Seconds since the last look, or since the beginning; no more than `LONGEST_STEP`."""
        before, self._looked = self._looked, self._clock.monotonic()
        return min(self._looked - before, LONGEST_STEP)
