"""How parked tasks end that never go on: with the error of their last try."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import InvalidStateError
from functools import partial
from typing import TYPE_CHECKING

from parsl_diaspora.errors import TaskHeldTooLong
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

logger = logging.getLogger(__name__)

SOON = 0.05  # seconds until another look at a task that the kernel is just moving
MOST_LOOKS = 100
LAST_LOOKS = 10  # at the end of the run
SETTLE_SECONDS = 2.0


class ParkedEnds:
    """Ends tasks that nothing else will end.

    Args:
        session: of the run.
        errands: does it, as callbacks of the program run then.
    """

    def __init__(self, session: Session, errands: Errands) -> None:
        self._session = session
        self._errands = errands
        self._errors: dict[int, BaseException] = {}

    def note(self, task: Record, error: BaseException) -> None:
        """Remember how a task failed last."""
        self._errors[task["id"]] = error

    def forget(self, task: Record) -> None:
        """A task has ended."""
        self._errors.pop(task["id"], None)

    def end_soon(self, task: Record, words: str, looks: int = MOST_LOOKS) -> None:
        """End a task with its last error.

        Args:
            task: Parsl's record.
            words: why it is not tried again; empty if its error says enough.
            looks: how often to look at a task that the kernel is just moving.
        """
        self._errands.run(lambda: self._end(task, words, looks))

    def _end(self, task: Record, words: str, looks: int) -> None:
        stage = kernel.stage_of(task)
        if stage == "ended" or self._session.cancels.is_asked(task):
            return
        if stage == "waiting":
            self._end_now(task, words)
        elif looks:  # the retry handler has parked it, and the kernel is not done with that
            self._session.clock.call_later(SOON, lambda: self.end_soon(task, words, looks - 1))

    def _end_now(self, task: Record, words: str) -> None:
        try:
            kernel.end_task(task, self.last_error(task, words))
        except (InvalidStateError, KeyError):  # somebody else, as a cancel, was first
            logger.debug("Task %s had ended when it was to be failed; the first end holds.", task["id"])

    def last_error(self, task: Record, words: str) -> Exception:
        """What a task ends with that is not tried again."""
        number = task["id"]
        error = self._errors.get(number)
        if not isinstance(error, Exception):
            message = f"Task {number} ({task['func_name']}) was never run: {words}"
            return TaskHeldTooLong(message, task=number, hint="Run the program again to run it.")
        note = f"Task {number}: {words} Run the program again to try it again."
        if words and hasattr(error, "add_note") and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        return error

    def end_all(self, tasks: Iterable[tuple[Record, str]]) -> None:
        """The run ends: end tasks at once, and let those end that wait for them."""
        last = None
        for task, words in tasks:
            self._safely(partial(self._end_at_last, task, words))
            last = task
        if last is not None:
            self._safely(partial(kernel.settle, last["dfk"], SETTLE_SECONDS))

    def _safely(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from their end
            self._session.absorb("parked tasks", error)

    def _end_at_last(self, task: Record, words: str) -> None:
        never = threading.Event()
        for _ in range(LAST_LOOKS):
            if kernel.stage_of(task) != "moving":
                break
            never.wait(SOON)
        self._end(task, words, looks=0)
