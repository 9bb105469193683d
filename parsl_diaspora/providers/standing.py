"""Whether a member gets submissions, and what is said when that changes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from math import isfinite

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, MemberFailed, MemberRecovered, SubmissionRefused
from parsl_diaspora.providers.breaker import CLOSED, OPEN, TRIAL, Breaker
from parsl_diaspora.providers.rate import SubmissionRate

LATELY = 600.0  # seconds for which a lost block, or a rejection, speaks against its member

Say = Callable[[Event], None]


class Standing:
    """A member's breaker and its rate of submissions, with how many blocks it may have.

    Args:
        member: its name.
        clock: time.
        breaker: of the member.
        rate: of the member.
        most: blocks that it may have at once; None for no limit of its own.
        say: takes events.
    """

    def __init__(
        self, member: str, clock: Clock, *, breaker: Breaker, rate: SubmissionRate, most: int | None, say: Say
    ) -> None:
        self._member = member
        self._clock = clock
        self._breaker = breaker
        self._rate = rate
        self._most = most
        self._say = say
        self._lock = threading.RLock()
        self._trial = ""  # id of the job that decides; empty while its submission has not been answered
        self._opened = 0.0
        self._lost: deque[float] = deque(maxlen=1_000)
        self._rejected: deque[float] = deque(maxlen=1_000)
        self._held_back = ""  # what was said last of our own limits

    @property
    def state(self) -> str:
        """Of the breaker."""
        return self._breaker.state

    @property
    def failures(self) -> int:
        """In a row."""
        return self._breaker.failures

    @property
    def lost(self) -> int:
        """Blocks that failed lately."""
        return self._lately(self._lost)

    @property
    def troubles(self) -> int:
        """Blocks that failed, and submissions that were rejected, lately."""
        return self._lately(self._lost) + self._lately(self._rejected)

    def _lately(self, times: deque[float]) -> int:
        since = self._clock.monotonic() - LATELY
        return sum(when > since for when in list(times))

    @property
    def submissions(self) -> int:
        """Within the last minute."""
        return self._rate.recent

    @property
    def wants_trial(self) -> bool:
        """It has rested, and one submission shall decide."""
        return self._breaker.state == OPEN and not self._breaker.rests_for

    def wait(self, active: int) -> float:
        """Seconds until a submission may be made.

        Args:
            active: blocks that it has.
        """
        if self._most is not None and active >= self._most:
            return float("inf")
        return max(self._breaker.rests_for, self._rate.wait)

    def room(self, active: int) -> int:
        """Submissions that may be made at this moment."""
        if self.wait(active) > 0:
            return 0
        left = self._rate.left if self._breaker.state == CLOSED else 1
        return left if self._most is None else min(left, self._most - active)

    def why_not(self, active: int) -> str:
        """Why no submission may be made now; empty if one may."""
        if self._most is not None and active >= self._most:
            return f"it has {active} blocks, and may have {self._most}"
        if self._breaker.state == TRIAL:
            return "a block that it has on trial has not told yet whether it works"
        if (rest := self._breaker.rests_for) > 0:
            return f"it rests for {rest:.0f} s more after {self._breaker.failures} failures in a row"
        if (wait := self._rate.wait) > 0:
            return f"it had {self._rate.recent} submissions within a minute; the next may be in {wait:.0f} s"
        return ""

    def begin(self, active: int) -> str:
        """A submission is about to be made; why it may not be, in words, or an empty string."""
        with self._lock:
            if why := self.why_not(active):
                self._say_held_back(why, active)
                return why
            self._rate.take()
            self._breaker.begin()
            self._trial = ""
            return ""

    def accepted(self, job: str) -> None:
        """The scheduler took it."""
        with self._lock:
            self._held_back = ""
            if self._breaker.state == TRIAL:
                self._trial = job
            if self._breaker.accepted():
                self._recovered("its scheduler takes blocks again")

    def rejected(self, words: str) -> None:
        """The scheduler rejected it, or gave no answer."""
        with self._lock:
            self._rejected.append(self._clock.monotonic())
            opened = self._breaker.rejected()
            held_for = max(self._breaker.rests_for, self._rate.wait)
            self._say(
                SubmissionRefused(member=self._member, message=words, held_for=held_for, by_scheduler=True)
            )
            if opened:
                self._failed(words)

    def worked(self, job: str) -> None:
        """A block has begun its work."""
        with self._lock:
            if self._is_about(job) and self._breaker.worked():
                self._recovered(f"block {job} works")

    def failed(self, job: str, words: str) -> None:
        """A block failed."""
        with self._lock:
            self._lost.append(self._clock.monotonic())
            if self._is_about(job) and self._breaker.failed():
                self._failed(words)

    def withdrawn(self, job: str) -> None:
        """A block ended without telling anything of the member."""
        with self._lock:
            if self._trial == job:
                self._trial = ""
                self._breaker.withdrawn()

    def _is_about(self, job: str) -> bool:
        """While there is a trial, only its own block decides."""
        return self._breaker.state != TRIAL or job == self._trial

    def _failed(self, words: str) -> None:
        self._opened = self._opened or self._clock.monotonic()
        self._trial = ""
        self._say(
            MemberFailed(
                member=self._member,
                failures=self._breaker.failures,
                rest=self._breaker.rests_for,
                message=words,
            )
        )

    def _recovered(self, message: str) -> None:
        seconds = self._clock.monotonic() - self._opened
        self._opened, self._trial = 0.0, ""
        self._say(MemberRecovered(member=self._member, seconds=seconds, message=message))

    def _say_held_back(self, why: str, active: int) -> None:
        kind = "".join(letter for letter in why if not letter.isdigit())  # its numbers change all the time
        if kind != self._held_back:
            self._held_back = kind
            wait = self.wait(active)
            self._say(
                SubmissionRefused(member=self._member, message=why, held_for=wait if isfinite(wait) else 0.0)
            )
