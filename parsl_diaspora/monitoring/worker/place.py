"""Where this worker is, and until when: it stays the same for as long as the process lives."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache

from parsl_diaspora.executors.launch import Report
from parsl_diaspora.settings import BLOCK_ENDS_VARIABLE


@lru_cache(maxsize=1)
def _place(pid: int) -> tuple[str, str, int, str, int]:
    return _read(os.environ, pid)


def _read(environ: Mapping[str, str], pid: int) -> tuple[str, str, int, str, int]:
    block, manager = environ.get("PARSL_WORKER_BLOCK_ID", ""), environ.get("PARSL_WORKER_POOL_ID", "")
    rank = environ.get("PARSL_WORKER_RANK", "-1")
    return block, manager, int(rank), os.uname().nodename, pid


def here() -> Report:
    """A report that tells where this worker is and nothing more yet."""
    return Report(*_place(os.getpid()))


def block_ends() -> float | None:
    """When this worker's block ends, seconds UTC; None if nobody has told."""
    ends = os.environ.get(BLOCK_ENDS_VARIABLE, "")
    return float(ends) if ends.isdigit() else None


def time_left() -> float:
    """Seconds until then; infinite if nobody has told."""
    ends = block_ends()
    return float("inf") if ends is None else ends - time.time()


def forget() -> None:
    """Look again: for tests, whose process is one worker after the other."""
    _place.cache_clear()
