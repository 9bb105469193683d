"""What a try changed in its worker is put back, so that the next one finds what it would find in a new one.

Compared after each try: working directory, umask, priority, cores, alarm, handlers of signals, environment.
That takes a few microseconds. Limits and the rest take longer: they are looked at after each try that took a
millisecond, and after each one that called the functions which change limits.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from parsl_diaspora.executors.supervision.board import STOP_SIGNAL

logger = logging.getLogger(__name__)

_LONG = 0.001  # seconds
_SIGNALS = (*(each for each in range(1, 32) if each not in (signal.SIGKILL, signal.SIGSTOP)), STOP_SIGNAL)
_OTHER_NAME = "RLIMIT_OFILE"  # of RLIMIT_NOFILE
_NAMES = {
    getattr(resource, name): name
    for name in dir(resource)
    if name.startswith("RLIMIT_") and name != _OTHER_NAME
}
_LIMITS = tuple(_NAMES)
_OTHER_TIMERS = (signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)

# The function below the standard library's, which makes an enumeration of each answer: ten times as slow.
_handler: Callable[[int], Any] = getattr(sys.modules.get("_signal"), "getsignal", signal.getsignal)


class WorkerState:
    """What belongs to the process as a whole, as it was before its first try.

    Attributes:
        stuck: what cannot be put back, in words; the worker should then make room for a new one.

    Example:
        >>> state = WorkerState()
        >>> before = os.umask(0o22)
        >>> state = WorkerState()
        >>> _ = os.umask(0o77)
        >>> state.restore(seconds=0.0)
        >>> os.umask(before) == 0o22
        True
    """

    def __init__(self) -> None:
        self.stuck: tuple[str, ...] = ()
        self._umask = os.umask(0o77)
        os.umask(self._umask)
        self._directory = _open_directory()
        self._quick = self._look()
        self._slow = _look_closely()
        self._environment: dict[Any, Any] | None = None
        self._limits_set = False
        for name in ("setrlimit", "prlimit"):
            setattr(resource, name, _heard(getattr(resource, name), self._limits_are_set))
        self.begin()

    def _limits_are_set(self) -> None:
        self._limits_set = True

    def begin(self) -> None:
        """A try begins. Between tries the environment may change: Parsl itself sets variables for MPI."""
        now = _environment()
        if now != self._environment:
            self._environment = None if now is None else dict(now)

    def restore(self, seconds: float) -> None:
        """The try has ended after so many seconds: put back what it changed. Never raises."""
        try:
            if self._look() != self._quick:
                self._restore_quick()
            if (seconds >= _LONG or self._limits_set) and _look_closely() != self._slow:
                self._restore_slow()
            self._limits_set = False
            if _environment() != self._environment:
                self._restore_environment()
        except Exception as fault:  # noqa: BLE001 - promise 1: the try's own end must get through
            self._stick("its state", fault)

    def _look(self) -> tuple[Any, ...]:
        try:
            directory = os.getcwdb()
        except OSError:  # it was removed
            directory = b""
        return (
            directory,
            os.umask(self._umask),
            os.getpriority(os.PRIO_PROCESS, 0),
            os.sched_getaffinity(0),
            signal.getitimer(signal.ITIMER_REAL),
            list(map(_handler, _SIGNALS)),
        )

    def _restore_quick(self) -> None:
        _, _, priority, cores, _, handlers = self._quick
        signal.setitimer(signal.ITIMER_REAL, 0.0)  # first: it may go off any moment
        for number, handler in zip(_SIGNALS, handlers, strict=True):
            if handler is not None and _handler(number) is not handler:
                self._try("handlers of signals", partial(signal.signal, number, handler))
        if self._directory >= 0:
            self._try("the working directory", partial(os.fchdir, self._directory))
        if os.getpriority(os.PRIO_PROCESS, 0) != priority:
            self._try("its priority", partial(os.setpriority, os.PRIO_PROCESS, 0, priority))
        if os.sched_getaffinity(0) != cores:
            self._try("its cores", partial(os.sched_setaffinity, 0, cores))
        self._quick = self._look()

    def _restore_slow(self) -> None:
        limits, blocked, _ = self._slow
        for timer in _OTHER_TIMERS:
            signal.setitimer(timer, 0.0)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, limit in zip(_LIMITS, limits, strict=True):
            if resource.getrlimit(number) != limit:
                self._restore_limit(number, *limit)
        self._slow = _look_closely()

    def _restore_limit(self, number: int, soft: int, hard: int) -> None:
        try:
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError) as fault:  # a lowered hard limit stays
            _, highest = resource.getrlimit(number)
            with suppress(OSError, ValueError):
                resource.setrlimit(number, (highest if _above(soft, highest) else soft, highest))
            self._stick(f"the limit {_NAMES[number]}", fault)

    def _restore_environment(self) -> None:
        now, before = _environment(), self._environment
        if now is None or before is None:
            return
        for name in [name for name in now if name not in before]:
            del os.environb[name]
        for name, value in before.items():
            if now.get(name) != value:
                os.environb[name] = value

    def _try(self, what: str, put_back: Callable[[], object]) -> None:
        try:
            put_back()
        except (OSError, ValueError) as fault:
            self._stick(what, fault)

    def _stick(self, what: str, fault: Exception) -> None:
        if what not in self.stuck:
            self.stuck = (*self.stuck, what)
            logger.warning("A task changed %s of its worker, which cannot be put back (%s).", what, fault)


def state_of_worker() -> WorkerState | None:
    """As it is now; None, with a warning, where the system does not tell: then nothing is put back."""
    try:
        return WorkerState()
    except Exception as fault:  # noqa: BLE001 - promise 1: a sandbox may forbid any of these calls, and tasks still run
        logger.warning("What tasks change in this worker is not put back (%s).", fault)
        return None


def _heard(function: Callable[..., Any], tell: Callable[[], None]) -> Callable[..., Any]:
    """The function, which tells of each call first."""
    inner = getattr(
        function, "__wrapped__", function
    )  # not one layer more for each worker state of a process

    @wraps(inner)
    def call(*arguments: Any, **keywords: Any) -> Any:
        tell()
        return inner(*arguments, **keywords)

    return call


def _look_closely() -> tuple[Any, ...]:
    return (
        list(map(resource.getrlimit, _LIMITS)),
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        [signal.getitimer(timer) for timer in _OTHER_TIMERS],
    )


def _environment() -> dict[Any, Any] | None:
    """What ``os.environ`` wraps: comparing this takes a microsecond, comparing that takes fifty."""
    return getattr(os.environ, "_data", None)


def _open_directory() -> int:
    try:
        return os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def _above(limit: int, other: int) -> bool:
    if other == resource.RLIM_INFINITY:
        return False
    return bool(limit == resource.RLIM_INFINITY or limit > other)
