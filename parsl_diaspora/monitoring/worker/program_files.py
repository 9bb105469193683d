"""A bash app's files: put in place before its program runs, saved while it runs and when it ends."""

from __future__ import annotations

import logging
import signal as signals
import threading
from collections.abc import Callable, Sequence
from typing import Any

from parsl.app.errors import AppTimeout

from parsl_diaspora.checkpoint.programs import Watch, looks_of, read_whole, remove_others
from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.errors import CheckpointError, RunAgain
from parsl_diaspora.monitoring.worker.place import time_left
from parsl_diaspora.monitoring.worker.program import Program
from parsl_diaspora.monitoring.worker.program_saves import FileCheckpoints
from parsl_diaspora.monitoring.worker.stopping import Stop

logger = logging.getLogger(__name__)

POLL = 0.25  # seconds between two looks
GRACE = 30.0  # seconds that a program has to save when its task must leave
LAST_CHANCE = 0.3  # seconds: a worker that was told to stop is killed after half a second


class ProgramFiles:
    """Looks after the files of one try. A thread watches while the program runs.

    Args:
        saves: of the try.
        patterns: which files, see `looks_of`.
        exit_code: of a program that has saved its files and asks to be run again; None for none.
        signal: name of the one that asks the program to save; empty for none.
        clock: time.
        program: the processes that the try starts.
    """

    def __init__(
        self,
        saves: FileCheckpoints,
        patterns: Sequence[str],
        *,
        exit_code: int | None = None,
        signal: str = "",
        clock: Clock | None = None,
        program: Program | None = None,
    ) -> None:
        self._saves = saves
        self._patterns = patterns
        self._exit_code = exit_code
        self._clock = clock or SystemClock()
        self._program = program or Program()
        self._watch = Watch(_asking(self._program, signal))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diaspora-program-files", daemon=True)
        self._left = False

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the app's function, which runs the program and waits for it.

        Raises:
            RunAgain: the program has saved its files and asks to be run again.
            BaseException: what the app raises, or what ends a try whose task leaves.
        """
        self._begin()
        try:
            outcome = function(*args, **kwargs)
        except BaseException as error:
            other = self._end(error)
            if other is None:
                raise
            raise other from None
        other = self._end(getattr(outcome, "e_value", None))  # Parsl's apps return what they raise
        if other is not None:
            raise other
        return outcome

    # --- before ---

    def _begin(self) -> None:
        names = self._saves.restore_files()
        if names is not None:
            remove_others(self._patterns, names)
        self._watch.taken = looks_of(self._patterns)
        self._thread.start()

    # --- meanwhile ---

    def _run(self) -> None:
        while not self._clock.wait(self._ended, POLL):
            try:
                if not self._saves.must_leave():
                    self._step(final=False)
                elif self._leave():
                    return
            except Exception:  # the program goes on without being saved, until the next time
                logger.exception("The files of a bash app could not be saved; it goes on.")

    def _step(self, *, final: bool) -> bool:
        """Save the files if it is time and they are at rest; whether they were saved."""
        wanted = final or self._saves.is_due()
        looks = looks_of(self._patterns) if wanted else {}
        return self._watch.step(self._clock.monotonic(), looks, wanted=wanted) and self._take(final=final)

    def _take(self, *, final: bool) -> bool:
        """Read the files, if nobody writes to them, and save them; whether they are safe."""
        found = read_whole(self._patterns)
        if found is None:
            return False
        looks, files = found
        if not self._saves.save_files(files, final=final):
            return False
        self._watch.took(looks)
        return True

    def _leave(self) -> bool:
        """Let the program save, and end it; False if it has ended by itself, or may stay after all."""
        ends = self._clock.monotonic() + max(0.0, min(GRACE, time_left() - POLL))
        while self._clock.monotonic() < ends and not self._step(final=True) and not self._has_nothing_new():
            if self._clock.wait(self._ended, POLL) or not self._saves.must_leave():
                return False
        self._left = True
        self._program.end()
        return True

    def _has_nothing_new(self) -> bool:
        """Whether the newest save is as good as it gets, since the program is not asked for another one."""
        return not self._watch.asks and looks_of(self._patterns) == self._watch.taken

    # --- after ---

    def _end(self, error: BaseException | None) -> BaseException | None:
        """What the try ends with instead of what the app has raised; None if that stands."""
        self._ended.set()
        self._thread.join()
        if isinstance(error, Stop | AppTimeout):  # the program may still run
            self._save_what_is_at_rest()
            return None
        code = self._exit_code
        again = code is not None and _exit_code_of(error) == code
        saved = again and self._save_at_the_end()
        if error is not None and (self._left or (again and self._saves.must_leave())):
            return self._saves.leaving()
        if saved and self._saves.has_progressed:
            message = f"The program has saved its files and asks to be run again (exit code {code})."
            return RunAgain(message, exit_code=code or 0)
        return None

    def _save_at_the_end(self) -> bool:
        """Save the files of a program that has ended, unless they are safe already."""
        looks = looks_of(self._patterns)
        if looks == self._watch.taken:
            return bool(looks)
        try:
            return self._take(final=True)
        except (CheckpointError, OSError) as error:
            logger.warning("The files of a bash app could not be saved: %s", error)
            return False

    def _save_what_is_at_rest(self) -> None:
        ends = self._clock.monotonic() + LAST_CHANCE
        before = looks_of(self._patterns)
        if not before or before == self._watch.taken:
            return
        self._clock.wait(threading.Event(), LAST_CHANCE / 2)
        if looks_of(self._patterns) == before and self._clock.monotonic() < ends:
            self._save_at_the_end()


def _asking(program: Program, signal: str) -> Callable[[], bool] | None:
    if not signal:
        return None
    number = signals.Signals[signal]
    return lambda: program.ask(number) > 0


def _exit_code_of(error: BaseException | None) -> int | None:
    """Of a bash app's program, or of one that the app itself has run."""
    for name in ("exitcode", "returncode"):
        if isinstance(code := getattr(error, name, None), int):
            return code
    return None
