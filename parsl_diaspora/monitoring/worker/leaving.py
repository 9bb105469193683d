"""A worker that a task has spoilt makes room: it ends between two tasks, and its manager starts a new one.

There is one moment at which that is safe: when the result is on its way and the worker has not yet asked for
another task, since a worker that ends while it holds the lock of its pool's queue stalls the pool. The stock
loop then asks whether its manager is alive; the profiler's hook, on for these few calls only, sees that.
"""

from __future__ import annotations

import sys
import time
from types import FrameType
from typing import Any

#: The function of Parsl's worker loop between two tasks, see tests/contract/test_parsl_seams.py.
BETWEEN_TASKS = "manager_is_alive"

#: Seconds that a worker stays at least: where all tasks spoil theirs, new ones must not take all the time.
LEAST_LIFE = 60.0

_since = time.monotonic()


def leave_after_this_try() -> bool:
    """End this worker when its result is on its way; whether it will.

    It stays if it has not lived for `LEAST_LIFE`, or if the program has a profiler of its own.
    """
    if time.monotonic() - _since < LEAST_LIFE or sys.getprofile() is not None:
        return False
    sys.setprofile(_leave)
    return True


def stay() -> None:
    """A further try begins after all: the loop is not the one that we know."""
    if sys.getprofile() is _leave:
        sys.setprofile(None)


def _leave(frame: FrameType, event: str, _: Any) -> None:
    if event == "call" and frame.f_code.co_name == BETWEEN_TASKS:
        sys.setprofile(None)
        raise SystemExit(0)
