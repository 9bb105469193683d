"""One action for one event, and the thread that it runs in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

from parsl_diaspora.errors import DiasporaError, NonRetryable
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.triggers.handlers import Handler

WHY_LIMIT = 500


class Lane:
    """The thread of one trigger: its actions run there one after another, in the order of their events.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()

    def _begin(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = False

    def put(self, work: Callable[[], None]) -> None:
        """Have this done; it must not raise."""
        if not self._started:
            self._started = True
            threading.Thread(target=_work_on, args=(self._work,), name=self._name, daemon=True).start()
        self._work.put(work)

    def renew(self) -> None:
        """Go on in another thread, as this one is stuck; what waited in it is taken along."""
        old = self._work
        self._begin()
        while True:
            try:
                work = old.get_nowait()
            except queue.Empty:
                break
            if work is not None:
                self.put(work)
        old.put(None)

    def close(self, last: Callable[[], None]) -> None:
        """End the thread after what it is at, and this."""
        if not self._started:
            last()
            return
        self._work.put(last)
        self._work.put(None)


def _work_on(work: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (function := work.get()) is not None:
        function()


class Job:
    """Tries an action until it is done or given up. Only the engine's thread decides what happens next.

    Args:
        handler: does the action.
        event: for which event.
        arrived: monotonic time, seconds.
        wake: called when a try has ended, in any thread.
        clock: tells the monotonic time.

    Attributes:
        tries: so far.
        due: monotonic time before which it is not tried again.
        began: monotonic time at which the present try began; None if none is under way.
        in_call: the try is still inside the handler, not in a future.
    """

    def __init__(
        self,
        handler: Handler,
        event: Event,
        arrived: float,
        wake: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self.event, self.arrived = event, arrived
        self.tries, self.due = 0, arrived
        self.began: float | None = None
        self.in_call = False
        self.queued = False
        self._handler, self._wake, self._clock = handler, wake, clock
        self._answers: queue.SimpleQueue[tuple[int, BaseException | None]] = queue.SimpleQueue()

    def attempt(self) -> None:
        """Try it, in the trigger's thread."""
        self.tries += 1
        number = self.tries
        self.in_call, self.began = True, self._clock()
        try:
            outcome = self._handler(self.event)
        except BaseException as error:  # noqa: BLE001 - even SystemExit of an action ends only that action
            self._answer(number, error)
        else:
            self._follow(number, outcome)
        finally:
            self.in_call = False

    def answer(self) -> tuple[bool, BaseException | None]:
        """Whether the present try has ended, and with which error. Answers of earlier tries are forgotten."""
        while True:
            try:
                number, error = self._answers.get_nowait()
            except queue.Empty:
                return False, None
            if number == self.tries:
                self.began, self.queued = None, False
                return True, error

    def _follow(self, number: int, outcome: Any) -> None:
        add = getattr(outcome, "add_done_callback", None)
        if add is None or isinstance(outcome, type):
            self._answer(number, None)
            return
        try:
            add(lambda future: self._answer(number, _error_of(future)))
        except Exception as error:  # noqa: BLE001 - what looks like a future may be none
            self._answer(number, error)

    def _answer(self, number: int, error: BaseException | None) -> None:
        self._answers.put((number, error))
        self._wake()


def _error_of(future: Any) -> BaseException | None:
    try:
        error: BaseException | None = future.exception()
    except BaseException as stopped:  # noqa: BLE001 - a cancelled future raises instead of telling
        return stopped
    return error


def is_final(error: BaseException) -> bool:
    """Whether trying again cannot help."""
    return isinstance(error, NonRetryable)


def why(error: BaseException) -> str:
    """An error in words."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may do anything
        text = ""
    known = isinstance(error, DiasporaError)
    words = text if known else f"{type(error).__name__}: {text}" if text else type(error).__name__
    return words.encode("utf-8", "backslashreplace").decode()[:WHY_LIMIT]
