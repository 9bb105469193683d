"""Time, waiting and timers, behind one object so that tests can run on a virtual clock."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

logger = logging.getLogger(__name__)

_IDLE = 1.0  # seconds that the timers' thread waits for a further timer before it ends


@runtime_checkable
class Clock(Protocol):
    """What the package asks of time. All durations are seconds."""

    def time(self) -> float:
        """Wall-clock time, seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """A time that never steps back."""
        ...

    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Wait until ``event`` is set or ``timeout`` has passed; whether it was set."""
        ...

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call ``function`` after ``delay`` in a thread of the clock's own; it must be quick."""
        ...


class SystemClock:
    """The real clock. Its timers share one daemon thread, which lives while there are timers.

    Example:
        >>> SystemClock().monotonic() > 0
        True
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def time(self) -> float:
        """Wall-clock time, seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """A time that never steps back."""
        return time.monotonic()

    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Wait until ``event`` is set or ``timeout`` has passed; whether it was set."""
        return event.wait(min(timeout, threading.TIMEOUT_MAX))

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call ``function`` after ``delay``."""
        due = time.monotonic() + max(0.0, delay)
        with self._changed:
            heapq.heappush(self._timers, (due, next(self._numbers), function))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="diaspora-timers", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Forget all timers, so that nothing keeps their thread."""
        with self._changed:
            self._timers.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (function := self._next_due()) is not None:
            try:
                function()
            except Exception:
                logger.exception("A timer's function failed; the timers go on.")

    def _next_due(self) -> Callable[[], None] | None:
        with self._changed:
            while self._timers or self._changed.wait_for(lambda: self._timers, _IDLE):
                remaining = self._timers[0][0] - time.monotonic()
                if remaining <= 0:
                    return heapq.heappop(self._timers)[2]
                self._changed.wait(min(remaining, threading.TIMEOUT_MAX))
            self._thread = None
            return None
