"""The processes that a try has started, and all below them: ended with it when it was cut short."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from parsl_diaspora.monitoring.node.processes import Process, Processes

logger = logging.getLogger(__name__)

_TICKS = os.sysconf("SC_CLK_TCK")
_ROUNDS = 20
_REAP = 0.2  # seconds


def begun() -> float:
    """Now, as the kernel dates processes: seconds since the node's start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def end_children(since: float) -> int:
    """Kill what this process and its children have started since then; return how many processes that were.

    They are all paused before the first one is killed, so that none starts another meanwhile. Processes
    that an earlier try left on purpose are not touched.

    Example:
        >>> import subprocess
        >>> moment = begun()
        >>> child = subprocess.Popen(["sleep", "60"])
        >>> end_children(moment)
        1
        >>> child.wait() in (0, -9)
        True
    """
    found: dict[int, Process] = {}
    for _ in range(_ROUNDS):
        new = {pid: each for pid, each in young_processes(since).items() if pid not in found}
        if not new:
            break
        found |= new
        _send(new, signal.SIGSTOP)
    _send(found, signal.SIGKILL)
    _reap(pid for pid, each in found.items() if each.parent == os.getpid())
    return len(found)


def young_processes(since: float) -> dict[int, Process]:
    """Processes below this one that were started since then, by pid, parents first."""
    earliest = int(since * _TICKS) - 1
    processes = Processes().below(os.getpid())
    processes.pop(os.getpid(), None)
    return {pid: each for pid, each in processes.items() if each.started >= earliest}


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _reap(pids: Iterable[int]) -> None:
    """Take the end of children, so that none is left as a zombie; whoever started them finds them gone."""
    deadline = time.monotonic() + _REAP
    waiting = list(pids)
    while waiting and time.monotonic() < deadline:
        waiting = [pid for pid in waiting if _is_there(pid)]
        if waiting:
            time.sleep(0.001)


def _is_there(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False
