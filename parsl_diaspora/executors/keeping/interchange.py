"""The interchange of an executor is kept: one that dies, or answers nothing, is replaced by a new one.

Everything of an executor goes through this one process, and stock Parsl waits for ever when it is gone. What
was with it is lost and comes back as `InterchangeLost`, which our retries take for what it is; what is
submitted meanwhile waits and is sent to the new one. Blocks know only the old one, so new ones are started.
"""

from __future__ import annotations

import subprocess
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from parsl_diaspora.clock import Clock
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import Event, InterchangeEnded, InterchangeStarted
from parsl_diaspora.executors.errors import InterchangeLost
from parsl_diaspora.executors.keeping.commands import Commands

PERIOD = 0.5
ASK_EVERY, ASK_FOR = 1.0, 1.0
RESTART_WINDOW = 600.0
LONGEST_STEP = (
    2.0  # seconds of silence that one look may count: more have passed if we were suspended ourselves
)
_JOIN = 5.0


class Kept(Protocol):
    """What the keeper needs of an executor."""

    label: str
    interchange_proc: subprocess.Popen[bytes] | None

    @property
    def bad_state_is_set(self) -> bool:
        """Parsl has given the executor up."""
        ...

    @property
    def is_ending(self) -> bool:
        """Parsl is shutting the executor down."""
        ...

    @property
    def commands(self) -> Commands:
        """What the interchange is asked through."""
        ...

    def look_after_tasks(self) -> None:
        """Called with each look while the interchange is there."""
        ...

    def take_back_tasks(self) -> int:
        """Hold what is submitted from now on; how many tasks are with the interchange."""
        ...

    def end_taken_tasks(self, make_error: Callable[[], DiasporaError]) -> None:
        """End the tasks that were taken back."""
        ...

    def start_interchange_again(self) -> None:
        """Start a new interchange, blocks for it, and send what was held."""
        ...

    def set_bad_state_and_fail_all(self, exception: Exception) -> None:
        """Give the executor up."""
        ...

    def say(self, event: Event) -> None:
        """Say an event, if there is a run to say it in."""
        ...

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own."""
        ...


class InterchangeKeeper:
    """Looks after one executor's interchange, in a thread of its own.

    Args:
        executor: to be looked after; already started.
        clock: for waits.
        silence: seconds without any answer, while its process lives, after which the interchange is killed.
        restarts: new interchanges within ten minutes before the executor is given up.

    Attributes:
        number: how many interchanges the executor has had.
        is_down: there is none now.
    """

    def __init__(self, executor: Kept, clock: Clock, *, silence: float, restarts: int) -> None:
        self._executor = executor
        self._clock = clock
        self._silence = silence
        self._restarts = restarts
        self._restarted: deque[float] = deque()
        self._silent_for = 0.0
        self._looked = clock.monotonic()
        self._ended = 0.0
        self._renew = ""
        self._on_purpose = False
        self.number = 1
        self.is_down = False
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"diaspora-keeper-{executor.label}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_JOIN)

    def renew(self, reason: str) -> None:
        """Replace the interchange at the next look, though nothing is wrong with it: it forgets its tasks."""
        self._renew = reason

    def _run(self) -> None:
        while not self._clock.wait(self._stop, PERIOD):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a look that fails must not end the keeping
                self._executor.absorb(f"keeper of {self._executor.label}", error)

    def look(self) -> None:
        """One look: is it there, does it answer?"""
        if self._executor.bad_state_is_set or self._executor.is_ending:
            return
        if self.is_down:
            self._start_again()
            return
        reason = self._why_it_ended()
        if reason:
            self._take_leave(reason)
            self._start_again()
        else:
            self._executor.look_after_tasks()

    # --- is it there, does it answer? ---

    def _why_it_ended(self) -> str:
        process = self._executor.interchange_proc
        if process is None:
            return ""
        if process.poll() is not None:
            return f"it ended by itself with exit code {process.returncode}"
        reason, self._renew = self._renew, ""
        self._on_purpose = bool(reason)
        if not reason and self._is_frozen():
            reason = f"its process lived, but it answered nothing for {self._silence:g} s, and was killed"
        if reason:
            process.kill()
            process.wait(_JOIN)
        return reason

    def _is_frozen(self) -> bool:
        now, commands = self._clock.monotonic(), self._executor.commands
        step, self._looked = now - self._looked, now
        if not commands.can_time_out or now - commands.last_answer < ASK_EVERY or commands.ask(ASK_FOR):
            self._silent_for = 0.0
            return False
        since = step if self._silent_for else self._clock.monotonic() - commands.last_answer
        self._silent_for += min(since, LONGEST_STEP)
        return self._silent_for >= self._silence

    # --- what follows ---

    def _take_leave(self, reason: str) -> None:
        executor, process = self._executor, self._executor.interchange_proc
        code = process.returncode if process is not None else None
        self.is_down, self._ended, self._silent_for = True, self._clock.monotonic(), 0.0
        held = executor.take_back_tasks()
        pid = process.pid if process is not None else 0
        executor.say(
            InterchangeEnded(executor=executor.label, pid=pid, exit_code=code, reason=reason, held=held)
        )
        executor.end_taken_tasks(lambda: self._lost(reason, code))

    def _lost(self, reason: str, code: int | None) -> InterchangeLost:
        label = self._executor.label
        return InterchangeLost(
            f"The interchange of executor {label!r} is lost: {reason}.",
            executor=label,
            exit_code=code,
            hint="Its last words are in interchange.log of the executor's directory.",
        )

    def _start_again(self) -> None:
        executor = self._executor
        on_purpose, self._on_purpose = self._on_purpose, False
        if not on_purpose and self._too_often():
            often = f"it had to be replaced {self._restarts} times within {RESTART_WINDOW / 60:g} minutes"
            executor.set_bad_state_and_fail_all(self._lost(often, None))
            return
        executor.start_interchange_again()
        self.number += 1
        self.is_down = False
        executor.look_after_tasks()
        self._looked = self._clock.monotonic()
        process = executor.interchange_proc
        executor.say(
            InterchangeStarted(
                executor=executor.label,
                pid=process.pid if process is not None else 0,
                number=self.number,
                seconds=self._looked - self._ended,
            )
        )

    def _too_often(self) -> bool:
        now = self._clock.monotonic()
        while self._restarted and now - self._restarted[0] > RESTART_WINDOW:
            self._restarted.popleft()
        if len(self._restarted) >= self._restarts:
            return True
        self._restarted.append(now)
        return False
