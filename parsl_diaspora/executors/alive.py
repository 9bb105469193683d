"""Whether a process is there: one that has ended, and that nobody has taken note of yet, is not."""

from __future__ import annotations

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Whether a process goes on.

    Example:
        >>> is_alive(psutil.Process())
        True
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
