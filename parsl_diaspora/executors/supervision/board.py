"""What each worker of a pool runs now, in memory that the node's supervisor and the workers share.

A killed worker cannot tell what it ran: this tells it for it. The other way round, the supervisor writes here
which try must stop, so that a worker that is signalled can see whether it is meant. A file of fixed size,
mapped by both sides; one slot a worker, written by that worker only, but for the words by which it is asked
for something.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

#: Names the file of a pool's board in the environment of its workers.
VARIABLE = "PARSL_DIASPORA_BOARD"

#: Asks a worker to look at its slot, as its try must stop. The kernel gives programs these signals to use as
#: they like, and hardly any does.
STOP_SIGNAL = signal.SIGRTMIN + 5

SLOTS = 1024
IDLE = -1

_MAGIC = int.from_bytes(b"PDboard1", "little", signed=True)
_LAYOUT = 2
_WORDS = 8  # of 64 bits: as many in the header as in a slot
_SIZE = (SLOTS + 1) * _WORDS * 8
_PID, _TASK, _TRY, _CHANGES, _STARTED, _STOP_TASK, _STOP_TRY, _ASKED = range(8)
_HEADER_MAGIC, _HEADER_LAYOUT, _HEADER_STOPS = range(3)
_READS = 100

#: What the try that a worker runs may be asked for, besides to stop: see `Slot.ask`.
SAVE, LEAVE, STAY, COPY, GO = range(1, 6)
_WHAT_BITS, _TRY_BITS = 4, 24
_YOUNG = 60.0  # seconds


class Work(NamedTuple):
    """What a slot says.

    Attributes:
        pid: of the worker that wrote it last; 0 for none.
        task: that it runs or ran last; -1 for none.
        try_id: of that task.
        busy: it runs that try now, or died while it did.
        started: when the try began, seconds of the node's monotonic clock.
        changes: how often the slot has changed; odd while busy.
    """

    pid: int
    task: int
    try_id: int
    busy: bool
    started: float
    changes: int


class Slot:
    """One worker's place on the board.

    Args:
        words: the board's memory.
        rank: of the worker.
        stops: how often anybody was asked to stop, in the header.
    """

    __slots__ = ("_at", "_changes", "_words", "rank")

    def __init__(self, words: memoryview, rank: int) -> None:
        self.rank = rank
        self._at = (rank + 1) * _WORDS
        self._words = words
        self._changes = self._at + _CHANGES

    def enter(self, pid: int, task: int, try_id: int) -> None:
        """The worker begins a try. Takes about a microsecond, as `leave` does."""
        words, at = self._words, self._at
        words[at] = pid
        words[at + _TASK] = task
        words[at + _TRY] = try_id
        words[at + _STARTED] = time.monotonic_ns()
        words[self._changes] = (words[self._changes] + 1) | 1  # the last word: until then a reader sees none

    def leave(self) -> None:
        """The worker has ended its try."""
        self._words[self._changes] += 1

    def read(self) -> Work:
        """What the slot says, all of it from one moment."""
        words, at = self._words, self._at
        for _ in range(_READS):
            pid, task, try_id, changes, started = words[at : at + _STOP_TASK]
            if words[self._changes] == changes:
                break
        return Work(pid, task, try_id, bool(changes & 1), started / 1e9, changes)

    def runs(self, task: int, try_id: int) -> bool:
        """Whether the worker runs that try now."""
        work = self.read()
        return work.busy and work.task == task and work.try_id == try_id

    def ask_stop(self, task: int, try_id: int) -> None:
        """Let that try, and no other one of this worker, see that it must stop."""
        self._words[self._at + _STOP_TRY] = try_id
        self._words[self._at + _STOP_TASK] = task
        self._words[_HEADER_STOPS] += 1

    def must_stop(self) -> bool:
        """Whether the try that the worker runs was asked to stop."""
        words, at = self._words, self._at
        return (
            words[self._changes] & 1 == 1
            and words[at + _STOP_TASK] == words[at + _TASK]
            and words[at + _STOP_TRY] == words[at + _TRY]
        )

    def ask(self, task: int, try_id: int, what: int) -> None:
        """Let that try, and no other one of this worker, see what it is asked for.

        Args:
            task: its task.
            try_id: its number.
            what: `SAVE` its state; save and `LEAVE`; `STAY` after all; `COPY` its state again and again, as
                it is about to leave. The successor of a try is asked to `GO` on from what there is, or to
                `STAY` out of it.
        """
        self._words[self._at + _ASKED] = (((task << _TRY_BITS) | try_id) << _WHAT_BITS) | what

    @property
    def asked(self) -> int:
        """What the try that the worker runs was asked for last; 0 for nothing."""
        words, at = self._words, self._at
        try_, what = divmod(words[at + _ASKED], 1 << _WHAT_BITS)
        return what if try_ == (words[at + _TASK] << _TRY_BITS) | words[at + _TRY] else 0

    def clear(self, pid: int) -> None:
        """Take away what a worker left that died, unless another has taken its place already."""
        if self._words[self._at] == pid and self._words[self._changes] & 1:
            self.leave()


class Board:
    """The slots of one pool's workers.

    Attributes:
        path: of the file.

    Example:
        >>> board = Board.create()
        >>> slot = board.slot(0)
        >>> slot.enter(pid=4711, task=3, try_id=1)
        >>> work = Board.open(board.path).slot(0).read()
        >>> work.task, work.try_id, work.busy
        (3, 1, True)
        >>> slot.leave()
        >>> slot.read().busy
        False
        >>> board.remove()
    """

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        self._words = memoryview(memory).cast("q")
        self._locked = -1

    @classmethod
    def create(cls, path: str | os.PathLike[str] | None = None) -> Board:
        """A new board, all idle, for this user only.

        Args:
            path: where; by default in memory, else in the directory for temporary files.

        Raises:
            OSError: the file cannot be made.
        """
        if path is None:
            return cls._create_somewhere()
        place = Path(path)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _SIZE)  # a full file system must show now, not as SIGBUS
            board = cls(place, mmap.mmap(descriptor, _SIZE))
            with contextlib.suppress(OSError):  # a file system without locks: then nobody removes it, either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as its maker lives
        except BaseException:
            place.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        board._locked = descriptor
        board.reset()
        return board

    @classmethod
    def _create_somewhere(cls) -> Board:
        *others, last = _new_paths()
        for path in others:
            with contextlib.suppress(OSError):
                return cls.create(path)
        return cls.create(last)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Board:
        """A board that another process has made.

        Raises:
            OSError: there is none, or it is another user's.
            ValueError: the file is no board, or one of another layout.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size != _SIZE:
                message = f"{path} is no board: it has another size."
                raise ValueError(message)
            board = cls(Path(path), mmap.mmap(descriptor, _SIZE))
        finally:
            os.close(descriptor)
        if (board._words[_HEADER_MAGIC], board._words[_HEADER_LAYOUT]) != (_MAGIC, _LAYOUT):
            message = f"{path} is no board, or one of another release."
            raise ValueError(message)
        return board

    def reset(self) -> None:
        """Let all slots be idle, as for a new pool."""
        for rank in range(SLOTS):
            at = (rank + 1) * _WORDS
            for word, value in ((_PID, 0), (_TASK, IDLE), (_TRY, IDLE), (_CHANGES, 0), (_STARTED, 0)):
                self._words[at + word] = value
            self._words[at + _STOP_TASK] = self._words[at + _STOP_TRY] = IDLE - 1
            self._words[at + _ASKED] = 0
        self._words[_HEADER_LAYOUT], self._words[_HEADER_STOPS] = _LAYOUT, 0
        self._words[_HEADER_MAGIC] = _MAGIC

    @property
    def stops(self) -> int:
        """How often a try was asked to stop: a cheap way to see that something has changed."""
        return self._words[_HEADER_STOPS]

    def slot(self, rank: int) -> Slot:
        """The place of one worker.

        Raises:
            IndexError: the board has fewer.
        """
        if not 0 <= rank < SLOTS:
            message = f"A board has places for the workers 0 to {SLOTS - 1}, not for {rank}."
            raise IndexError(message)
        return Slot(self._words, rank)

    def find(self, task: int, try_id: int) -> Slot | None:
        """The place of the worker that runs a try now, if any does."""
        return next(iter(self.finds(task, try_id)), None)

    def finds(self, task: int, try_id: int) -> list[Slot]:
        """As `find`; there are two where the given-up successor of a try has its next try beside it."""
        return [slot for slot in self._used() if slot.runs(task, try_id)]

    def works(self) -> dict[int, Work]:
        """By rank, what each worker that has had a try is at, or was at last."""
        words = self._words
        used = (rank for rank in range(SLOTS) if words[(rank + 1) * _WORDS + _PID])
        return {rank: Slot(words, rank).read() for rank in used}

    def _used(self) -> list[Slot]:
        words = self._words
        return [Slot(words, rank) for rank in range(SLOTS) if words[(rank + 1) * _WORDS + _CHANGES] & 1]

    def remove(self) -> None:
        """Remove the file; who has it open keeps it."""
        self.path.unlink(missing_ok=True)
        if self._locked >= 0:
            os.close(self._locked)
            self._locked = -1


def own_slot(environ: Mapping[str, str] = os.environ) -> Slot | None:
    """The place of the worker that this process is; None if its pool has no board that can be used."""
    path, rank = environ.get(VARIABLE), environ.get("PARSL_WORKER_RANK", "")
    if not path:
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):
        return Board.open(path).slot(int(rank))
    return None


def remove_abandoned(directories: Iterable[Path] | None = None) -> int:
    """Remove boards of this user whose makers were killed with all that could have removed them.

    Args:
        directories: where boards may be.

    Returns:
        How many there were.
    """
    found = [path for each in directories or _directories() for path in each.glob(f"{_name()}*")]
    return sum(_is_removed(path) for path in found)


def _is_removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if time.time() - os.fstat(descriptor).st_ctime < _YOUNG:
                return False  # it may not be locked yet
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)
        return True
    return False


def _new_paths() -> list[Path]:
    """Where a board may be: for this user only, and under a name that nobody can guess."""
    return [directory / f"{_name()}{os.urandom(8).hex()}" for directory in _directories()]


def _name() -> str:
    return f"parsl-diaspora-{os.getuid()}-"


def _directories() -> list[Path]:
    return [Path("/dev/shm"), Path(os.environ.get("TMPDIR", "/tmp"))]  # noqa: S108
