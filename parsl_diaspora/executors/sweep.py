"""Nothing is left behind on this host.

A manager that is SIGKILLed leaves workers and helper processes which its batch job no longer owns. They
carry the marks of run and executor in their environment, so they are found and ended when the executor shuts
down. Those of other executors are left alone: a pool replaces one of its members while the others work.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable

import psutil

from parsl_diaspora.executors.alive import is_alive
from parsl_diaspora.providers.local_jobs import MARK

EXECUTOR_MARK = "_PARSL_DIASPORA_EXECUTOR"
_POLL = 0.02  # seconds


def mark_of(directory: str) -> str:
    """The mark of one executor, by the directory of its logs, which no other one has.

    Example:
        >>> mark_of("/runs/000/alder") == mark_of("/runs/000/replacements/2/alder")
        False
    """
    return f"{zlib.crc32(directory.encode()):08x}"


def of_executor(directory: str, command: str) -> str:
    """A launch command of ours whose processes can be told from those of other executors of the run."""
    return f"env {EXECUTOR_MARK}={mark_of(directory)} {command}" if MARK in command else command


def marked_processes(run: str, executor: str = "") -> list[psutil.Process]:
    """Processes of this host that carry the mark of a run, and that of an executor if one is named."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue  # gone, or another user's
        if environment.get(MARK) == run and executor in ("", environment.get(EXECUTOR_MARK)):
            found.append(process)
    return found


def sweep(run: str, timeout: float = 3.0, *, executor: str = "") -> int:
    """End all marked processes: those that do not go by themselves within ``timeout`` seconds are killed.

    Args:
        run: its id.
        timeout: seconds.
        executor: mark of one executor, as `mark_of` has it; empty for all of the run.

    Returns:
        How many had to be killed.
    """
    alive = _alive_after(timeout, marked_processes(run, executor))
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
