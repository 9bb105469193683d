"""Nothing is left behind on this host.

A manager that is SIGKILLed leaves workers and helper processes which its batch job no longer owns. They
carry the run's mark in their environment, so they are found and ended when the executor shuts down.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

from parsl_diaspora.executors.alive import is_alive
from parsl_diaspora.providers.local_jobs import MARK

_POLL = 0.02  # seconds


def marked_processes(value: str) -> list[psutil.Process]:
    """Processes of this host whose environment carries the mark with this value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, or another user's
    return found


def sweep(value: str, timeout: float = 3.0) -> int:
    """End all marked processes: those that do not go by themselves within ``timeout`` seconds are killed.

    Returns:
        How many had to be killed.
    """
    alive = _alive_after(timeout, marked_processes(value))
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    _alive_after(timeout, alive)
    return len(alive)


def _alive_after(timeout: float, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended in that time. One that nobody has taken note of yet has ended."""
    deadline = time.monotonic() + timeout
    while (alive := [each for each in processes if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(_POLL)
    return alive
