"""Finding, and ending, the processes of one run by a mark in their environment.

Pools of workers are started with two environment variables, for instance by a provider's ``worker_init``
(:func:`worker_init` writes it). Every process below inherits them: also the ones whose parent is dead, which
no walk over parents and children would find.

    _PARSL_DIASPORA_MARK=<token of the run>  _PARSL_DIASPORA_PLACE=<site>

The interchange is a child of the submitting program and carries no mark, unless that program does.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
import psutil

logger = logging.getLogger(__name__)

MARK_VARIABLE = "_PARSL_DIASPORA_MARK"
PLACE_VARIABLE = "_PARSL_DIASPORA_PLACE"

Role = Literal["manager", "worker", "other"]

_WORKER_LOG = re.compile(r"worker_\d+\.log")
_MANAGER_LOG = "manager.log"
#: The stock pool, and what runs it within itself where a supervisor looks after it.
_POOLS = ("process_worker_pool.py", "parsl_diaspora/monitoring/node/pool.py")
_SAME_START = 0.05  # seconds; a start time is read against the boot time, which moves when the clock is set
_POLL = 0.05  # seconds
_T = TypeVar("_T")


class MarkedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that carries the mark of a run.

    Attributes:
        pid: its number.
        role: ``manager`` for a pool of HTEX, ``worker`` for a process that runs tasks, else ``other``: the
            manager's helpers, a worker that is still starting, and whatever a task has started.
        site: the value of ``_PARSL_DIASPORA_PLACE``, or an empty string.
        parent: number of its parent now; that of an orphan is the process that took it in.
        create_time: start, seconds since the epoch. Guards against reuse of the number.
    """

    pid: int
    role: Role
    site: str
    parent: int
    create_time: float

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return _handle(self) is not None


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a marked process before its role is known."""

    pid: int
    site: str
    parent: int
    create_time: float
    pool: bool
    spawned: bool
    logs: frozenset[str]


def worker_init(mark: str, place: str, also: Mapping[str, str] | None = None) -> str:
    """Shell lines that mark all processes of a pool; for a provider's ``worker_init``.

    Args:
        mark: token of the run; not empty.
        place: name of the site.
        also: more environment variables.

    Example:
        >>> print(worker_init("run-7", "alder", {"OMP_NUM_THREADS": "1"}))
        export _PARSL_DIASPORA_MARK=run-7
        export _PARSL_DIASPORA_PLACE=alder
        export OMP_NUM_THREADS=1
    """
    variables = {MARK_VARIABLE: _checked(mark), PLACE_VARIABLE: place, **(also or {})}
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def find(mark: str) -> list[MarkedProcess]:
    """All live processes that carry the mark, oldest first per site.

    This process and its ancestors are left out, should they carry the mark themselves: nobody who looks for
    victims means those.

    Args:
        mark: token of the run; not empty.

    Raises:
        ValueError: the mark is empty.

    Example:
        >>> find("a-run-that-never-was")
        []
    """
    kin = _own_line()
    read = (_read(process, _checked(mark)) for process in psutil.process_iter() if process.pid not in kin)
    seen = {one.pid: one for one in read if one is not None}
    found = [
        MarkedProcess(
            pid=one.pid, role=_role(one, seen), site=one.site, parent=one.parent, create_time=one.create_time
        )
        for one in seen.values()
    ]
    return sorted(found, key=lambda process: (process.site, process.create_time, process.pid))


def of_session(leader: int) -> list[int]:
    """Processes of a program that has ended, by the session that it began.

    So an interchange is found that stock Parsl leaves behind: its title hides the mark.

    Args:
        leader: number of the program that was started with a session of its own.
    """
    found = []
    for pid in psutil.pids():
        with suppress(OSError):  # it has ended meanwhile
            if os.getsid(pid) == leader:
                found.append(pid)
    return found


def busy(worker: MarkedProcess, over: float = 0.05) -> bool:
    """Whether a worker, or a process below it, computes. One that waits or sleeps does not.

    Args:
        worker: which process.
        over: how long to look, in seconds.
    """
    return bool(busy_among([worker], over))


def busy_among(workers: Sequence[MarkedProcess], over: float = 0.05) -> set[int]:
    """Numbers of those that compute, all watched over the same ``over`` seconds; see :func:`busy`."""
    before = {worker.pid: _cpu_seconds(worker) for worker in workers}
    time.sleep(over)
    return {
        worker.pid for worker in workers if _cpu_seconds(worker) > before[worker.pid] or _runnable(worker)
    }


def send(process: MarkedProcess, number: signal.Signals) -> bool:
    """Send a signal to this very process, never to another that was given its number.

    Returns:
        Whether it was sent: False when the process is gone.
    """
    if _handle(process) is None:
        return False
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def sweep(mark: str, timeout: float = 5.0, extra: Iterable[int] = ()) -> int:
    """End all processes that carry the mark, and those named: TERM first, KILL at half time.

    Args:
        mark: token of the run; not empty.
        timeout: seconds in which to be done. What withstands SIGKILL so long is logged and left.
        extra: numbers of more processes to end, such as the run's interchanges.

    Returns:
        How many processes were found.

    Raises:
        ValueError: the mark is empty.

    Example:
        >>> sweep("a-run-that-never-was")
        0
    """
    named = [one for one in map(_named, extra) if one is not None]
    start, asked = time.monotonic(), set[tuple[int, float]]()
    while left := [*find(mark), *(one for one in named if one.alive)]:
        spent = time.monotonic() - start
        if spent > timeout:
            logger.error("%d processes of %s outlive SIGKILL: %s", len(left), mark, [one.pid for one in left])
            break
        _end(left, asked, by_force=spent > timeout / 2)
        time.sleep(_POLL)
    return len(asked)


def _end(left: list[MarkedProcess], asked: set[tuple[int, float]], *, by_force: bool) -> None:
    for process in left:
        name = process.pid, process.create_time
        if by_force:
            send(process, signal.SIGKILL)
        elif name not in asked:
            send(process, signal.SIGTERM)
        asked.add(name)


def _checked(mark: str) -> str:
    if not mark:
        message = "A mark must not be empty: it decides which processes are killed."
        raise ValueError(message)
    return mark


def _own_line() -> set[int]:
    me = psutil.Process()
    return {me.pid, *(process.pid for process in me.parents())}


def _named(pid: int) -> MarkedProcess | None:
    process = _ask(lambda: psutil.Process(pid), None)
    if process is None or pid in _own_line():
        return None
    born, parent = _ask(process.create_time, 0.0), _ask(process.ppid, 0)
    return MarkedProcess(pid=pid, role="other", site="", parent=parent, create_time=born)


def _handle(process: MarkedProcess) -> psutil.Process | None:
    found = _ask(lambda: psutil.Process(process.pid), None)
    if found is None or _ask(found.status, psutil.STATUS_ZOMBIE) == psutil.STATUS_ZOMBIE:
        return None
    same = abs(_ask(found.create_time, 0.0) - process.create_time) < _SAME_START
    return found if same else None


def _ask(question: Callable[[], _T], otherwise: _T) -> _T:
    """An answer of psutil; processes that end meanwhile, or belong to others, have none."""
    try:
        return question()
    except (psutil.Error, OSError):
        return otherwise


def _read(process: psutil.Process, mark: str) -> _Seen | None:
    environment: dict[str, str] = _ask(process.environ, {})
    if environment.get(MARK_VARIABLE) != mark:
        return None
    command: list[str] = _ask(process.cmdline, [])
    pool, spawned = _runs_pool(command), "--multiprocessing-fork" in command
    return _Seen(
        pid=process.pid,
        site=environment.get(PLACE_VARIABLE, ""),
        parent=_ask(process.ppid, 0),
        create_time=_ask(process.create_time, 0.0),
        pool=pool,
        spawned=spawned,
        logs=_log_names(process) if pool or spawned else frozenset(),
    )


def _log_names(process: psutil.Process) -> frozenset[str]:
    none: frozenset[str] = frozenset()
    return _ask(lambda: frozenset(Path(file.path).name for file in process.open_files()), none)


def _runs_pool(command: list[str]) -> bool:
    """Whether a Python runs HTEX's pool itself: a wrapper that has it among its arguments does not."""
    arguments = iter(command[1:])
    for argument in arguments:
        if argument == "-m":
            return next(arguments, "").endswith("process_worker_pool")
        if not argument.startswith("-"):
            return argument.endswith(_POOLS)
    return False


def _role(one: _Seen, seen: Mapping[int, _Seen]) -> Role:
    parent = seen.get(one.parent)
    if one.pool:
        # Between fork and exec a manager's new child still has the manager's command line.
        return "other" if parent is not None and parent.pool else "manager"
    if not one.spawned or (parent is not None and not parent.pool):
        return "other"
    if any(_WORKER_LOG.fullmatch(name) for name in one.logs):
        return "worker"
    if parent is None or _MANAGER_LOG in parent.logs:  # its workers have logs too, once they are up
        return "other"
    # The first process that a manager starts is the server of its shared dictionary.
    first = min((child.create_time, child.pid) for child in _spawned_by(parent, seen))
    return "other" if first == (one.create_time, one.pid) else "worker"


def _spawned_by(parent: _Seen, seen: Mapping[int, _Seen]) -> list[_Seen]:
    return [one for one in seen.values() if one.spawned and one.parent == parent.pid]


def _family(process: MarkedProcess) -> list[psutil.Process]:
    head, none = _handle(process), list[psutil.Process]()
    return none if head is None else [head, *_ask(lambda: head.children(recursive=True), none)]


def _cpu_seconds(process: MarkedProcess) -> float:
    times = [_ask(one.cpu_times, None) for one in _family(process)]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times if t is not None)


def _runnable(process: MarkedProcess) -> bool:
    """Whether it runs, or waits for a core or a disk: on a crowded host a busy worker may get no time."""
    active = {psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP}
    return any(_ask(one.status, psutil.STATUS_DEAD) in active for one in _family(process))
