"""A try that was asked to stop: the supervisor marks it on the board and sends a signal.

The signal alone stops nothing, as it may come too late, when the worker runs another try. What stands on the
board decides.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from parsl_diaspora.executors.supervision.board import STOP_SIGNAL, Slot

#: Begins the reason of a task that leaves as its block is about to end.
BLOCK_ENDS = "its block ends"


class Stop(BaseException):
    """Raised inside a task that must stop; no ``except Exception`` of the program keeps it."""


class Leave(BaseException):
    """Raised inside a task that has saved its state and must leave.

    Args:
        reason: in words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stopping:
    """Raises `Stop` in the main thread while a try runs that was asked to stop, once.

    Args:
        slot: this worker's place on the board.

    Attributes:
        armed: the program's own code runs now, so the signal may interrupt.
    """

    def __init__(self, slot: Slot | None) -> None:
        self.armed = False
        self._slot = slot
        if slot is not None and threading.current_thread() is threading.main_thread():
            signal.signal(STOP_SIGNAL, self._heard)

    def _heard(self, _signal: int, _frame: FrameType | None) -> None:
        if self.armed and self._slot is not None and self._slot.must_stop():
            self.armed = False
            raise Stop
