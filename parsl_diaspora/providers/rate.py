"""At most so many submissions in any minute."""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.throttle import Throttle

MINUTE = 60.0  # seconds


class SubmissionRate:
    """However it is used, no stretch of 60 s holds more submissions than are allowed.

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
        self._per_minute = per_minute
        self._throttle = Throttle(per_minute, MINUTE)

    @property
    def recent(self) -> int:
        """Submissions within the last minute."""
        return self._throttle.recent(self._clock.monotonic())

    @property
    def left(self) -> int:
        """Submissions that are allowed at this moment."""
        return self._per_minute - self.recent

    @property
    def wait(self) -> float:
        """Seconds until the next submission is allowed; 0 if it is now."""
        return self._throttle.wait(self._clock.monotonic())

    def take(self) -> bool:
        """Count a submission that is made now; False if none is allowed."""
        return self._throttle.allows(self._clock.monotonic())
