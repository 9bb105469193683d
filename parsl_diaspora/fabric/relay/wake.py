"""Waking a thread that waits for sockets."""

from __future__ import annotations

import os
from contextlib import suppress


class Wake:
    """A descriptor that becomes readable when another thread has something to say.

    Writing to it costs a system call, so it is done only when the thread has said that it is about to sleep;
    the thread looks once more for work after that and before it sleeps.
    """

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self._asleep = False

    def sleeps(self, *, asleep: bool) -> None:
        """The thread says whether it has to be woken."""
        self._asleep = asleep

    def ring(self) -> None:
        """Wake the thread if it sleeps. Called by others; never waits."""
        if self._asleep:
            self._asleep = False
            with suppress(OSError):  # full: it is awake; closed: nobody is left to be woken
                os.write(self._write, b"!")

    def clear(self) -> None:
        """Forget that it rang."""
        with suppress(OSError):
            os.read(self.fd, 4096)

    def close(self) -> None:
        """Let go of the descriptors."""
        fds, self.fd, self._write = (self.fd, self._write), -1, -1
        self._asleep = False
        for fd in fds:
            with suppress(OSError):
                os.close(fd)
