"""Nothing is left behind on this host.

A manager that is SIGKILLed leaves workers and helper processes which its batch job no longer owns. They
carry the run's mark in their environment, so they are found and ended when the executor shuts down.
"""

from __future__ import annotations

import psutil

MARK = "_PARSL_DIASPORA_RUN"


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
    _, alive = psutil.wait_procs(marked_processes(value), timeout=timeout)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(alive, timeout=timeout)
    return len(alive)
