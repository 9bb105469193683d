"""How fast a site is asked: so many requests a minute, and less when they come to nothing."""

from __future__ import annotations

import random

from parsl_diaspora.throttle import Throttle

MINUTE = 60.001  # seconds; a little more, so that no rounding of times makes it less
FIRST, LONGEST = 5.0, 900.0
JITTER = 0.25


class Pace:
    """The requests to one site.

    Args:
        per_minute: requests within any minute, at most.
        rng: spreads the waits of programs that fail together.

    Example:
        >>> pace = Pace(2, random.Random(1))
        >>> pace.asked(0.0), pace.asked(1.0), pace.opens_in(2.0)
        (None, None, 58.001)
    """

    def __init__(self, per_minute: int, rng: random.Random) -> None:
        self._rng = rng
        self._throttle = Throttle(per_minute, MINUTE)
        self._failures = 0
        self._closed_until = float("-inf")

    def opens_in(self, now: float) -> float:
        """Seconds until it may be asked; 0 for now."""
        return max(self._throttle.wait(now), self._closed_until - now)

    def asked(self, now: float) -> None:
        """A request was made, whatever came of it."""
        self._throttle.note(now)

    def failed(self, now: float, at_least: float = 0.0) -> float:
        """A request was refused, or its block ended before it worked.

        Returns:
            Seconds until it may be asked again.
        """
        self._failures += 1
        wait = min(LONGEST, FIRST * 2.0 ** (self._failures - 1)) * self._rng.uniform(1 - JITTER, 1 + JITTER)
        wait = max(wait, at_least)
        self._closed_until = max(self._closed_until, now + wait)
        return wait

    def worked(self) -> None:
        """A block of the site has come to work."""
        self._failures = 0
