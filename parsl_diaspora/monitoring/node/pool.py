"""Around the stock worker pool, in its own process: its dead workers are found in a moment.

Stock looks after dead workers once a heartbeat period (30 s), so that is how long it takes until the loss of
one is known. Here the wait in between ends early when a worker has ended. Nothing of the stock pool is
changed or copied: only `threading.Event.wait` is another one, in this process and for that thread.

Run by path, and free of imports beyond the standard library: it starts in the pool's interpreter, whatever
that has. Everything that fails here leaves the pool as stock has it.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from types import FrameType

#: Tells the descriptor on which deaths are reported, the one of a pipe that breaks with the supervisor's
#: life, and the supervisor's process id, as ``5:6:4711``.
VARIABLE = "_PARSL_DIASPORA_POOL"
BOARD = "PARSL_DIASPORA_BOARD"

#: The name of the stock pool's thread that starts dead workers anew, and the beginning of its workers' names.
WATCHDOG = "worker-watchdog"
WORKER = "HTEX-Worker-"

TICK = 0.2  # seconds between two looks
HEAD_START = 0.3  # seconds that the supervisor has to tell of a death, and of its cause, before stock does
SHORT_LIFE = 2.0  # seconds; a worker that dies sooner, time and again, is started anew less and less often
_PR_SET_PDEATHSIG = 1
_ROUNDS = 50


def main() -> None:
    """Run the stock pool, whose script and arguments follow this one's name."""
    script = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    if not getattr(sys.flags, "safe_path", False):  # as if the script had been run by itself
        sys.path[0] = os.path.dirname(os.path.realpath(script))
    try:
        prepare(os.environ.pop(VARIABLE, ""))
    except Exception as error:  # noqa: BLE001 - promise 1: the pool runs as stock has it
        print(f"parsl_diaspora: this pool runs as stock has it: {error}", file=sys.stderr)  # noqa: T201
    runpy.run_path(script, run_name="__main__")


def prepare(told: str) -> None:
    """Let the pool end with its supervisor, and its watchdog wake early."""
    reports, life, parent = map(int, told.split(":"))
    for pipe in (reports, life):
        os.set_inheritable(pipe, False)
    os.set_blocking(reports, False)
    _end_with(parent, life)
    watchful(DeathWatch(reports))


# --- dead workers ---


def watchful(watch: DeathWatch) -> None:
    """Let the watchdog of the stock pool not sleep through the death of a worker; other waits are stock."""
    stock = threading.Event.wait

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        if timeout is None or threading.current_thread().name != WATCHDOG:
            return stock(event, timeout)
        return watch.watch(lambda seconds: stock(event, seconds), timeout)

    setattr(threading.Event, "wait", wait)  # noqa: B010 - a method of another class


class DeathWatch:
    """Notices and reports workers that have ended.

    Args:
        pipe: descriptor on which one JSON object a line is written.
        now: monotonic seconds.
    """

    def __init__(self, pipe: int, now: Callable[[], float] = time.monotonic) -> None:
        self._pipe = pipe
        self._now = now
        self._known: dict[int, tuple[BaseProcess, float]] = {}
        self._names: set[str] = set()
        self._short_lives: dict[str, int] = {}
        self._wait_until = 0.0

    def watch(self, wait: Callable[[float], bool], timeout: float) -> bool:
        """Wait, but not longer than until a worker has to be started anew; whether the event is set."""
        end = self._now() + timeout
        with suppress(Exception):  # workers that were just started: they may not live until the first look
            self._remember(_children())
        while (left := end - self._now()) > 0:
            if wait(min(TICK, left)):
                return True
            if self._look():
                return False
        self._look()  # stock looks next: who died since the last look is told of first, with the cause
        return wait(0)

    def _look(self) -> bool:
        """Report whoever ended since the last look; whether stock should look, too."""
        try:
            alive = _children()
            ended = [self._known.pop(pid) for pid in self._known.keys() - alive.keys()]
            for child, since in ended:
                self._report(child, since)
            if ended:
                time.sleep(HEAD_START)
            self._remember(alive)
        except Exception:  # noqa: BLE001 - stock looks by itself, once a heartbeat period
            return False
        missing = self._names - {child.name for child in alive.values()}
        return bool(missing) and self._now() >= self._wait_until

    def _remember(self, alive: dict[int, BaseProcess]) -> None:
        for pid, child in alive.items():
            if pid not in self._known:
                self._known[pid] = child, self._now()
                if child.name.startswith(WORKER):
                    self._names.add(child.name)

    def _report(self, child: BaseProcess, since: float) -> None:
        now, name = self._now(), child.name
        if name.startswith(WORKER):
            short = self._short_lives.get(name, 0) + 1 if now - since < SHORT_LIFE else 0
            self._short_lives[name] = short
            self._wait_until = now + TICK * 2.0**short if short > 1 else 0.0
        line = json.dumps({"name": name, "pid": child.pid, "exit_code": child.exitcode}) + "\n"
        with suppress(OSError):  # the supervisor is gone or paused: then nobody is told
            os.write(self._pipe, line.encode())


def _children() -> dict[int, BaseProcess]:
    return {child.pid: child for child in multiprocessing.active_children() if child.pid}


# --- the end ---


def _end_with(parent: int, life: int) -> None:
    """End when the supervisor's process does, however that comes about.

    The kernel sends a signal then. A signal is handled by the main thread, though, and may reach another one:
    so a thread waits for the end of a pipe as well.
    """
    number = signal.SIGRTMIN + 6
    signal.signal(number, _on_orphaned)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    threading.Thread(target=_wait_for_end, args=(life,), name="diaspora-parent", daemon=True).start()
    if os.getppid() != parent:
        _on_orphaned(number, None)


def _wait_for_end(life: int) -> None:
    with suppress(OSError):
        while os.read(life, 1):
            pass
        _on_orphaned(0, None)


def _on_orphaned(number: int, frame: FrameType | None) -> None:
    """End this pool at once, with all that its workers have started."""
    del number, frame
    with suppress(OSError):
        os.unlink(os.environ.get(BOARD, ""))
    own, paused = os.getpid(), set[int]()
    for _ in range(_ROUNDS):
        new = {pid for pid in _family(own) if pid not in paused and not _is_tracker(pid)}
        if not new:
            break
        _send(new, signal.SIGSTOP)  # what is paused starts no further processes
        paused |= new
    _send([*paused, own], signal.SIGKILL)


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)


def _family(root: int) -> list[int]:
    """All processes below one, and those of its process group."""
    known = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                parent, group = file.read().rpartition(b")")[2].split()[1:3]
                known[int(name)] = int(parent), int(group)
    found, new = set[int](), {root}
    while new:
        found |= new
        new = {pid for pid, (parent, _) in known.items() if parent in new} - found
    return [pid for pid, (_, group) in known.items() if (pid in found or group == root) and pid != root]


def _is_tracker(pid: int) -> bool:
    """Whether it removes what the pool has in shared memory, and then ends by itself."""
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"multiprocessing.resource_tracker" in file.read()
    return False


if __name__ == "__main__":
    main()
