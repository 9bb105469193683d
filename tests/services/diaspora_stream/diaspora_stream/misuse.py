"""What goes wrong silently in the real binding, said aloud."""

from __future__ import annotations

import os
import sys
import threading

LOG = "DIASPORA_STREAM_MISUSE"
LONGEST_WAIT = 2147  # milliseconds that fit into 32 bits of nanoseconds


class Misuse(BaseException):
    """The binding was used in a way that loses events, hangs or crashes. No ``except Exception`` hides it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        note(message)


def note(message: str) -> None:
    sys.stderr.write(f"MISUSE of diaspora_stream: {message}\n")
    sys.stderr.flush()
    if path := os.environ.get(LOG):
        with open(path, "a") as log:
            log.write(message + "\n")


def abort(message: str) -> None:
    note(message)
    os.abort()


def check_timeout(milliseconds: int) -> None:
    if not isinstance(milliseconds, int):
        raise TypeError(f"timeout_ms must be an integer, not {milliseconds!r}")
    if milliseconds > LONGEST_WAIT:
        raise Misuse(f"a wait of {milliseconds} ms overflows")
    if milliseconds <= 0:
        raise Misuse(f"a wait of {milliseconds} ms may never end")


class Owned:
    """Belongs to the process and the thread that made its driver."""

    def __init__(self, owner: Owned | None = None) -> None:
        self._pid = owner._pid if owner else os.getpid()
        self._thread = owner._thread if owner else threading.get_ident()

    def check(self, what: str) -> None:
        if os.getpid() != self._pid:
            raise Misuse(f"{what} in a forked child")
        if threading.get_ident() != self._thread:
            raise Misuse(f"{what} in another thread than the driver's")
