"""A clock that stands still until a test moves it: hours of back-off and quarantine in milliseconds.

    clock = VirtualClock()
    keeper = keeper_for(handler, clock, start_failures=3)
    clock.advance(300)

Everything in this package that waits or sets a timer takes a `parsl_diaspora.clock.Clock`, and so takes this.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

_LOOK = 0.001  # seconds of real time between two looks of a waiting thread at the clock
_EPOCH = 1_767_225_600.0  # the first of January 2026


class VirtualClock:
    """Implements `parsl_diaspora.clock.Clock` without ever sleeping for real.

    Timers run in the thread that calls `advance`, in the order of their due times, ties in the order in which
    they were set; while one runs, the clock shows its due time, and what it sets in turn runs as well if it
    falls into the same stretch.

    A `wait` in another thread ends when its event is set or when the clock has been moved past its end. Then
    `advance` gives that thread, in real time, the chance to wait again before the clock moves on, so a thread
    that wakes each second does so ten times within ``advance(10)``. A `wait` in the thread that made the
    clock moves the clock itself, as nobody else would.

    Args:
        start: the wall-clock time at which it begins, seconds since the epoch, UTC.
        patience: seconds of real time that `advance` gives to a woken thread that does not wait again.

    Example:
        >>> clock = VirtualClock()
        >>> done = []
        >>> clock.call_later(60, lambda: done.append("a minute"))
        >>> clock.call_later(5, lambda: done.append("five seconds"))
        >>> clock.advance(59)
        >>> done
        ['five seconds']
        >>> clock.advance(1)
        >>> done
        ['five seconds', 'a minute']
        >>> clock.monotonic()
        60.0
    """

    def __init__(self, start: float = _EPOCH, *, patience: float = 1.0) -> None:
        self._start = start
        self._patience = patience
        self._now = 0.0
        self._owner = threading.current_thread()
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._waits: dict[threading.Thread, float] = {}
        self._woken: set[threading.Thread] = set()

    def time(self) -> float:
        """Wall-clock time, seconds since the epoch, UTC."""
        return self._start + self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Wait until ``event`` is set or ``timeout`` virtual seconds have passed; whether it was set."""
        if timeout <= 0 or event.is_set():
            return event.is_set()
        if threading.current_thread() is self._owner:
            return self._wait_by_moving(event, self._now + timeout)
        self._enter(timeout)
        try:
            while not event.wait(_LOOK):
                if threading.current_thread() not in self._waits:
                    return event.is_set()
            return True
        finally:
            self._leave()

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call ``function`` when the clock has been moved by ``delay`` seconds."""
        with self._changed:
            due = self._now + max(0.0, delay)
            heapq.heappush(self._timers, (due, next(self._numbers), function))

    def advance(self, seconds: float) -> None:
        """Move the clock, and do all that is due on the way.

        Raises:
            ValueError: time does not run backwards.
            Exception: what the first failing timer raised, after all others that were due have run.
        """
        if seconds < 0:
            message = f"A clock cannot be moved by {seconds} seconds: time does not run backwards."
            raise ValueError(message)
        failures: list[Exception] = []
        end = self._now + seconds
        while (due := self._next_moment()) <= end:
            self._move_to(due)
            self._wake()
            self._run_one_due(failures)
        self._move_to(end)
        if failures:
            raise failures[0]

    def pending(self) -> int:
        """Timers that have not run yet."""
        return len(self._timers)

    def settle(self, waiting: int = 1, timeout: float = 5.0) -> None:
        """Wait in real time until so many other threads wait on this clock, before the first `advance`.

        Raises:
            TimeoutError: they do not, within ``timeout`` real seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waits) >= waiting, timeout):
                message = f"Only {len(self._waits)} of {waiting} threads wait on the virtual clock."
                raise TimeoutError(message)

    def _wait_by_moving(self, event: threading.Event, end: float) -> bool:
        while not event.is_set() and (due := self._next_moment()) <= end:
            self.advance(max(0.0, due - self._now))
        if not event.is_set():
            self.advance(max(0.0, end - self._now))
        return event.is_set()

    def _enter(self, timeout: float) -> None:
        with self._changed:
            self._waits[threading.current_thread()] = self._now + timeout
            self._woken.discard(threading.current_thread())
            self._changed.notify_all()

    def _leave(self) -> None:
        with self._changed:
            self._waits.pop(threading.current_thread(), None)

    def _next_moment(self) -> float:
        with self._changed:
            timer = self._timers[0][0] if self._timers else float("inf")
            return min(timer, *self._waits.values(), float("inf"))

    def _move_to(self, moment: float) -> None:
        with self._changed:
            self._now = max(self._now, moment)

    def _wake(self) -> None:
        """End the waits that are over and let their threads come to rest again."""
        with self._changed:
            over = [thread for thread, end in self._waits.items() if end <= self._now]
            for thread in over:
                del self._waits[thread]
            self._woken.update(over)
        if over:
            self._let_rest()

    def _let_rest(self) -> None:
        deadline = time.monotonic() + self._patience
        with self._changed:
            while self._are_busy() and time.monotonic() < deadline:
                self._changed.wait(_LOOK)
            self._woken.clear()

    def _are_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._woken)

    def _run_one_due(self, failures: list[Exception]) -> None:
        with self._changed:
            if not self._timers or self._timers[0][0] > self._now:
                return
            function = heapq.heappop(self._timers)[2]
        try:
            function()
        except Exception as error:  # noqa: BLE001 - raised to the caller, when all that is due has run
            failures.append(error)
