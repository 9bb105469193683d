"""Who writes a segment, as its name tells, and whether that process still lives."""

from __future__ import annotations

from typing import NamedTuple

import psutil

from parsl_diaspora.fabric.file.segment import SUFFIX

_REUSED = 10.0  # a process that began so many seconds after the segment is another one under the same id


class Writer(NamedTuple):
    """Who wrote a segment, as its name says."""

    host: str
    pid: int
    boot: str


def writer_named(name: str) -> Writer | None:
    """The writer of a segment; None for a name that no publisher gives.

    Example:
        >>> writer_named("node.site.417.8d1f.0002.events")
        Writer(host='node.site', pid=417, boot='8d1f')
    """
    parts = name.removesuffix(SUFFIX).rsplit(".", 3)
    if len(parts) != 4 or not parts[1].isdecimal():  # noqa: PLR2004 - host, pid, boot, number
        return None
    return Writer(parts[0], int(parts[1]), parts[2])


def is_dead(pid: int, touched: float) -> bool:
    """Whether the process that wrote at ``touched`` (seconds UTC) is gone, or only waits to be reaped."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > touched + _REUSED
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:  # it is there, but not for us to look at
        return False
