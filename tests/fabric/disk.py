"""Disks that take nothing more, for real, or that take their time."""

from __future__ import annotations

import os
import resource
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """No file of this process may grow: each write fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def slow_disk(seconds: float = 0.1) -> Iterator[None]:
    """Each write of this process into a file takes that long, and so does each sync."""
    real = {name: getattr(os, name) for name in ("write", "writev", "pwrite", "fdatasync", "fsync")}

    def slowly(call):
        def wrapper(descriptor, *arguments):
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                time.sleep(seconds)
            return call(descriptor, *arguments)

        return wrapper

    for name, call in real.items():
        setattr(os, name, slowly(call))
    try:
        yield
    finally:
        for name, call in real.items():
            setattr(os, name, call)
