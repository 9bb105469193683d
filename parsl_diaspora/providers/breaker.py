"""Whether a member gets submissions: after failures in a row it rests, then one trial decides."""

from __future__ import annotations

from random import Random

from parsl_diaspora.clock import Clock

CLOSED, OPEN, TRIAL = "closed", "open", "trial"
JITTER = 0.25  # part of a rest by which it is shortened or prolonged

#: Why it opened, and so what ends a trial well: a submission that is taken, or a block that works.
REJECTED, FAILED = "rejected", "failed"


class Breaker:
    """Counts what goes wrong in a row, and says when a submission may be made. It only reads time.

    Two things go wrong with a member: its scheduler rejects submissions, and blocks that it took fail. Each
    has a count of its own. A trial after rejections ends well when the scheduler takes it; a trial after
    failed blocks ends well only when its block works, however long that waits in the queue.

    Args:
        clock: time.
        random: spreads rests, so that programs do not return to a scheduler all at once.
        failures: in a row that open it.
        rest: seconds of the first rest; each failed trial doubles it.
        longest: seconds that no rest exceeds.

    Example:
        >>> from parsl_diaspora.testing.clock import VirtualClock
        >>> clock = VirtualClock()
        >>> breaker = Breaker(clock, Random(1), failures=2, rest=30.0)
        >>> breaker.rejected(), breaker.rejected(), breaker.state
        (False, True, 'open')
        >>> clock.advance(40)
        >>> breaker.begin()
        >>> breaker.state, breaker.accepted(), breaker.state
        ('trial', True, 'closed')
    """

    def __init__(
        self, clock: Clock, random: Random, *, failures: int = 3, rest: float = 30.0, longest: float = 900.0
    ) -> None:
        self._clock = clock
        self._random = random
        self._allowed = failures
        self._rest = rest
        self._longest = longest
        self._counts = {REJECTED: 0, FAILED: 0}
        self._cause = ""
        self._openings = 0
        self._until = 0.0
        self._on_trial = False

    @property
    def state(self) -> str:
        """``closed`` while submissions may be made, ``open`` while it rests, ``trial`` while one decides."""
        if not self._cause:
            return CLOSED
        return TRIAL if self._on_trial else OPEN

    @property
    def failures(self) -> int:
        """What went wrong in a row, of the kind that did so more often."""
        return max(self._counts.values())

    @property
    def rests_for(self) -> float:
        """Seconds that are left of a rest; 0 when there is none, infinity while a trial has not ended."""
        if self._on_trial:
            return float("inf")
        return max(0.0, self._until - self._clock.monotonic()) if self._cause else 0.0

    def begin(self) -> None:
        """A submission is made now; after a rest it is the trial."""
        self._on_trial = bool(self._cause)

    def accepted(self) -> bool:
        """The scheduler took it. Whether that closed the breaker."""
        self._counts[REJECTED] = 0
        return self._cause == REJECTED and self._close()

    def rejected(self) -> bool:
        """The scheduler rejected it, or did not answer. Whether that opened the breaker."""
        return self._went_wrong(REJECTED)

    def worked(self) -> bool:
        """A block has begun its work. Whether that closed the breaker."""
        self._counts[FAILED] = 0
        return self._cause == FAILED and self._close()

    def failed(self) -> bool:
        """A block failed. Whether that opened the breaker."""
        return self._went_wrong(FAILED)

    def withdrawn(self) -> None:
        """The trial's block was given back before it could tell anything: another trial may be made."""
        self._on_trial = False

    def _close(self) -> bool:
        self._counts = {REJECTED: 0, FAILED: 0}
        self._cause, self._openings, self._on_trial = "", 0, False
        return True

    def _went_wrong(self, how: str) -> bool:
        self._counts[how] += 1
        if self._cause and not self._on_trial:
            return False  # it rests already: what was under way when it opened changes nothing
        if not self._on_trial and self._counts[how] < self._allowed:
            return False
        self._openings += 1
        self._cause, self._on_trial = how, False
        rest = min(self._rest * 2.0 ** min(self._openings - 1, 60), self._longest)
        spread = self._random.uniform(1.0 - JITTER, 1.0 + JITTER)
        self._until = self._clock.monotonic() + min(rest * spread, self._longest)
        return True
