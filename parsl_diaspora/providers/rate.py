"""At most so many submissions in any minute."""

from __future__ import annotations

from collections import deque

from parsl_diaspora.clock import Clock

MINUTE = 60.0  # seconds


class SubmissionRate:
    """A sliding window: however it is used, no stretch of 60 s holds more submissions than are allowed.

    Args:
        clock: time.
        per_minute: submissions that are allowed within any 60 s.

    Example:
        >>> from parsl_diaspora.testing.clock import VirtualClock
        >>> clock = VirtualClock()
        >>> rate = SubmissionRate(clock, 2)
        >>> rate.take(), rate.take(), rate.take(), rate.wait
        (True, True, False, 60.0)
        >>> clock.advance(60)
        >>> rate.take()
        True
    """

    def __init__(self, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=per_minute)

    @property
    def recent(self) -> int:
        """Submissions within the last minute."""
        since = self._clock.monotonic() - MINUTE
        return sum(when > since for when in self._taken)

    @property
    def left(self) -> int:
        """Submissions that are allowed at this moment."""
        return (self._taken.maxlen or 0) - self.recent

    @property
    def wait(self) -> float:
        """Seconds until the next submission is allowed; 0 if it is now."""
        if len(self._taken) < (self._taken.maxlen or 0):
            return 0.0
        return max(0.0, self._taken[0] + MINUTE - self._clock.monotonic())

    def take(self) -> bool:
        """Count a submission that is made now; False if none is allowed."""
        if self.wait > 0:
            return False
        self._taken.append(self._clock.monotonic())
        return True
