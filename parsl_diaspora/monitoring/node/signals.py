"""Signals that arrive at the supervisor: they wake its loop, which acts on them."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from types import FrameType

#: Signals by which a batch system or an operator ends a job.
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Takes the signals of this process; made in its main thread, before the pool is started."""

    def __init__(self) -> None:
        self._pending: list[int] = []
        self._reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` does with SIGHUP
                signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, _on_child)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._pending.append(number)

    def wait(self, timeout: float, *also: int) -> None:
        """Wait at most ``timeout`` seconds for a signal, or for something to be read from a descriptor."""
        watched = select.poll()
        for descriptor in (self._reading, *also):
            watched.register(descriptor, select.POLLIN)
        if any(event[0] == self._reading for event in watched.poll(timeout * 1000)):
            with suppress(BlockingIOError):
                while os.read(self._reading, 512):
                    pass

    def take(self) -> int | None:
        """A signal that asks this process to end, once."""
        return self._pending.pop(0) if self._pending else None


def _on_child(number: int, frame: FrameType | None) -> None:
    """A child has ended: the handler is only there so that the loop is woken."""
