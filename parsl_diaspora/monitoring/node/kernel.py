"""What Linux offers for looking after processes: adopt orphans, read how one ended, end all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

import psutil

_PR_SET_CHILD_SUBREAPER = 36
_POLL = 0.02  # seconds
_TICKS = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """What ``/proc`` says of a process.

    Attributes:
        state: a letter; ``Z`` for one that has ended.
        parent: process id.
        group: process group.
        start: in the kernel's ticks since boot.
    """

    state: str
    parent: int
    group: int
    start: int


def adopt_orphans() -> bool:
    """Become the parent of what this process's descendants leave behind; whether the kernel does that."""
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def stat(pid: int | str = "self") -> Stat | None:
    """What is known of a process; None if it is gone or ``/proc`` cannot be read."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
        return Stat(fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[19]))
    return None


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def started(pid: int) -> float | None:
    """When a process began, in seconds of this host's monotonic clock; None if nobody knows."""
    found = stat(pid)
    if found is None:
        return None
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    return found.start / _TICKS - asleep


def reap() -> dict[int, int]:
    """Children that have ended, with their exit codes: negative for a signal."""
    ended = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def children() -> list[int]:
    """Own children: the pool, and orphans that were adopted."""
    return _ids(_own().children())


def descendants(pid: int | None = None) -> list[int]:
    """All processes below one; by default below this one."""
    with suppress(psutil.Error):
        return _ids((psutil.Process(pid) if pid else _own()).children(recursive=True))
    return []


def _own() -> psutil.Process:
    return psutil.Process()


def _ids(found: Iterable[psutil.Process]) -> list[int]:
    return [process.pid for process in found]


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to whoever of these still is there."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal; False if nobody knows."""
    with suppress(OSError, ValueError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file.read().splitlines():
            if line.startswith(b"SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def kill_all(timeout: float = 2.0) -> tuple[int, dict[int, int]]:
    """Kill all that is below this process, and what appears meanwhile.

    What looks after the shared memory of Python's processes ends by itself when they have ended, and has half
    of the time for it: killed, it would leave that memory behind.

    Args:
        timeout: seconds after which what withstands is left to the kernel.

    Returns:
        How many were killed, and the exit codes of own children.
    """
    begin, killed, codes = time.monotonic(), set[int](), dict[int, int]()
    while left := [pid for pid in descendants() if is_alive(pid)]:
        spent = time.monotonic() - begin
        victims = [pid for pid in left if spent > timeout / 2 or not _is_tracker(pid)]
        send(victims, signal.SIGKILL)
        killed.update(victims)
        time.sleep(_POLL)
        codes |= reap()
        if spent > timeout:
            break
    return len(killed), codes | reap()


def _is_tracker(pid: int) -> bool:
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"multiprocessing.resource_tracker" in file.read()
    return False
