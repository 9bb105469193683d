"""Calls to one scheduler: one at a time, in a thread of their own, so that one that hangs holds up nobody.

How long a caller waits is real time, not the injected clock's: it waits for a process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from parsl_diaspora.clock import Clock

logger = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for which an answer is waited for where somebody else waits meanwhile

Start = Callable[[str, Callable[[], None]], None]


def in_thread(name: str, body: Callable[[], None]) -> None:
    """Run a call in a thread that does not keep the program from ending."""
    threading.Thread(target=body, name=name, daemon=True).start()


class Call:
    """One call that is under way.

    Attributes:
        what: in words, as ``submission``.
        result: what it returned.
        error: what it raised; None if nothing.
    """

    def __init__(self, what: str, function: Callable[[], Any]) -> None:
        self.what = what
        self.result: Any = None
        self.error: Exception | None = None
        self._function = function
        self._finished = threading.Event()
        self._deciding = threading.Lock()
        self._late: Callable[[Any], None] | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it has finished within that time."""
        return self._finished.wait(seconds)

    def abandon(self, late: Callable[[Any], None]) -> bool:
        """Leave it to itself; whether it was still under way. What it returns after all goes to ``late``."""
        with self._deciding:
            if self._finished.is_set():
                return False
            self._late = late
            return True

    def run(self) -> None:
        """Make the call."""
        try:
            self.result = self._function()
        except Exception as error:  # noqa: BLE001 - a provider may fail in any way; the caller decides
            self.error = error
        with self._deciding:
            self._finished.set()
        if self._late is not None and self.error is None:
            self._late(self.result)


class Calls:
    """The calls to one member's scheduler.

    Args:
        name: of the member.
        clock: for since when a call is under way.
        start: runs a call; tests run it at once, in their own thread.
    """

    def __init__(self, name: str, clock: Clock, start: Start = in_thread) -> None:
        self._name = name
        self._clock = clock
        self._start = start
        self._free = threading.Condition()
        self._current: Call | None = None
        self._since = 0.0
        self._next: list[Callable[[], Any]] = []

    @property
    def stuck(self) -> str:
        """Why calls get no turn, in words; empty if they do. What takes a moment does not hang."""
        with self._free:
            current, seconds = self._current, self._clock.monotonic() - self._since
        if current is None or seconds < PATIENCE:
            return ""
        return f"its scheduler has not answered a {current.what} for {seconds:.0f} s"

    def begin(self, what: str, function: Callable[[], Any], *, patience: float = 0.0) -> Call | None:
        """Make a call; None while another one is under way.

        Args:
            what: in words.
            function: that is called.
            patience: seconds of real time to wait for the other one's end.
        """
        call = Call(what, function)
        with self._free:
            if not self._free.wait_for(lambda: self._current is None, patience):
                return None
            self._current, self._since = call, self._clock.monotonic()
        self._start(f"diaspora-provider-{self._name}-{what.replace(' ', '-')}", lambda: self._run(call))
        return call

    def afterwards(self, function: Callable[[], Any]) -> None:
        """Make a call when the one that is under way has come to its end; at once if there is none."""
        with self._free:
            if self._current is not None:
                self._next.append(function)
                return
        self.begin("call", function)

    def _run(self, call: Call) -> None:
        try:
            call.run()
        except Exception:  # what comes of a late answer must not keep the member busy for ever
            logger.exception("What a late %s of member %s led to failed.", call.what, self._name)
        while (function := self._end()) is not None:
            try:
                function()
            except Exception as error:  # noqa: BLE001 - nobody waits for it any more
                logger.warning("A call to member %s that had been put off failed: %s", self._name, error)

    def _end(self) -> Callable[[], Any] | None:
        with self._free:
            if self._next:
                return self._next.pop(0)
            self._current = None
            self._free.notify_all()
            return None


def wait_for(calls: Iterable[Call], seconds: float = PATIENCE) -> None:
    """Wait for all of them, but together no longer than that: what comes later is taken up later."""
    end = time.monotonic() + seconds
    for call in calls:
        call.wait(max(0.0, end - time.monotonic()))
