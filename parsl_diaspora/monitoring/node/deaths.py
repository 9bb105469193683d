"""Workers that ended: reported by the pool's process, with what the board says that they ran."""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from parsl_diaspora.events import WorkerEnded
from parsl_diaspora.executors.supervision.board import Board, Work
from parsl_diaspora.monitoring.node import kernel

WORKER = "HTEX-Worker-"

#: The pool's own process for shared objects: without it no worker of the pool can go on.
HELPER = "SyncManager-"

_SLACK = 1.0  # seconds by which a process may seem older than the try that started it


class Death(msgspec.Struct, frozen=True):
    """A child process of the pool that ended.

    Attributes:
        name: as the pool calls it.
        pid: process id.
        exit_code: negative for a signal; None if nobody could tell.
    """

    name: str
    pid: int
    exit_code: int | None = None

    @property
    def rank(self) -> int | None:
        """The worker's; None if it was none."""
        rest = self.name.removeprefix(WORKER)
        return int(rest) if rest != self.name and rest.isdigit() else None

    @property
    def ends_pool(self) -> bool:
        """Whether the pool is of no use without it."""
        return self.name.startswith(HELPER)


_read = msgspec.json.Decoder(Death).decode


class DeathReports:
    """What arrives on the pipe from a pool's process.

    Args:
        pipe: descriptor to read from, which does not wait.

    Attributes:
        unreadable: lines that were none.
    """

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.unreadable = 0
        self._rest = b""
        self._is_open = True

    def open_pipe(self) -> list[int]:
        """The pipe, as long as somebody may write to it: to be waited for."""
        return [self.pipe] if self._is_open else []

    def take(self) -> list[Death]:
        """Reports that have arrived."""
        data = self._rest
        with suppress(BlockingIOError):
            while chunk := os.read(self.pipe, 65_536):
                data += chunk
            self._is_open = False
        *lines, self._rest = data.split(b"\n")
        return [death for line in lines if (death := self._understood(line)) is not None]

    def _understood(self, line: bytes) -> Death | None:
        try:
            return _read(line)
        except msgspec.DecodeError:
            self.unreadable += 1
            return None

    def close(self) -> None:
        """Close the pipe."""
        with suppress(OSError):
            os.close(self.pipe)


def take_from_board(board: Board, death: Death) -> Work | None:
    """The try that a dead worker ran, and its place made free; None if it was idle or is not known."""
    if death.rank is None:
        return None
    try:
        slot = board.slot(death.rank)
    except IndexError:
        return None
    work = slot.read()
    if work.pid != death.pid or not work.busy:
        return None
    slot.clear(death.pid)
    return work


def worker_ended(death: Death, work: Work | None) -> WorkerEnded:
    """What is to be said of it."""
    event = WorkerEnded(pid=death.pid, exit_code=death.exit_code, worker=death.rank)
    if work is not None:
        event.task, event.try_id = work.task, work.try_id
    return event


def left_behind(group: int, since: float) -> list[int]:
    """Orphans of a dead worker's try: adopted, still in the pool's process group, and begun during that try.

    What a task has put into a session of its own is left alone until the pool ends, as are the orphans of
    earlier tries: they may be meant to stay.
    """
    found = []
    for pid in kernel.children():
        known, begun = kernel.stat(pid), kernel.started(pid)
        is_of_pool = known is not None and known.group == group and pid != group
        if is_of_pool and begun is not None and begun > since - _SLACK:
            found.append(pid)
    return found
