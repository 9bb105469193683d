"""Waiting for the binding's futures, without its traps.

A wait needs a time-out; 0 waits for ever, and more than 2147 ms overflows to something short. A future that
gave None is still alive with some drivers, and spent with others.
"""

from __future__ import annotations

import time
from typing import Any

SLICE = 1000  # milliseconds


def wait(future: Any, seconds: float) -> Any:
    """The future's value, or None after ``seconds``; the future stays usable after None.

    Raises:
        RuntimeError: what the binding raises when the operation failed.
    """
    deadline = time.monotonic() + seconds
    while True:
        left = int((deadline - time.monotonic()) * 1000)
        value = future.wait(timeout_ms=max(1, min(SLICE, left)))
        if value is not None or left <= SLICE:
            return value


def look(future: Any, *, patient: bool = True) -> tuple[Any, bool]:
    """The value of a pull that is there now, or None; and whether the future is spent.

    An event may come between the wait and the question, so a future that is completed is asked once more.

    Args:
        future: of the pull.
        patient: wait a millisecond for it, as drivers need that get on only while somebody waits.
    """
    if not patient and not future.completed():
        return None, False
    value = future.wait(timeout_ms=1)
    if value is not None:
        return value, True
    if not future.completed():
        return None, False
    return future.wait(timeout_ms=1), True
