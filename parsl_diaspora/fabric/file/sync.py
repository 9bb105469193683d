"""Group commit: what was written reaches the disk soon, in a thread that keeps nobody waiting.

One thread a process serves all its writers, so a worker that publishes now and then has one more thread that
sleeps, and writes never wait for a disk. A machine that loses power loses what was written since the last
round: `INTERVAL` seconds, and as long as the disk needs.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Protocol

logger = logging.getLogger(__name__)

INTERVAL = 0.1


class Syncable(Protocol):
    """A writer whose bytes can be brought to the disk."""

    def sync(self) -> None:
        """Bring all that was written to the disk.

        Raises:
            OSError: it did not get there.
        """
        ...


class Syncer:
    """Syncs writers that have asked for it, at most once every ``interval`` seconds.

    Args:
        interval: seconds.

    Example:
        >>> class Writer:
        ...     synced = False
        ...
        ...     def sync(self):
        ...         self.synced = True
        >>> writer, syncer = Writer(), Syncer(interval=0.01)
        >>> syncer.add(writer)
        >>> syncer.wait(writer, timeout=5), writer.synced
        (True, True)
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._due: set[Syncable] = set()
        self._changed = threading.Condition()
        self._hurry = threading.Event()
        self._rounds = 0
        self._begun = 0
        self._thread: threading.Thread | None = None

    def add(self, writer: Syncable) -> None:
        """Sync the writer in the next round."""
        with self._changed:
            self._due.add(writer)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def wait(self, writer: Syncable, timeout: float) -> bool:
        """Sync the writer at once and wait for it; whether that came to an end in time."""
        with self._changed:
            target = self._begun + 1  # a round that has begun may have passed this writer already
        self.add(writer)
        self._hurry.set()
        with self._changed:
            return self._changed.wait_for(lambda: self._rounds >= target, timeout)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="diaspora-syncer", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give; the next write tries again
            logger.warning("Events are not synced to the disk for now: %s.", error)
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due)
            self._hurry.wait(self._interval)
            self._hurry.clear()
            with self._changed:
                due, self._due = self._due, set()
                self._begun += 1
            for writer in due:
                _sync(writer)
            del due, writer
            with self._changed:
                self._rounds = self._begun
                self._changed.notify_all()


def _sync(writer: Syncable) -> None:
    try:
        writer.sync()
    except OSError:
        pass  # the writer counts it and says it
    except Exception:
        logger.exception("A segment could not be synced to the disk.")


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Bring the names in a directory to the disk: a new file survives a power loss only then.

    Raises:
        OSError: they did not get there.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


_shared: Syncer | None = None
_lock = threading.Lock()


def shared_syncer() -> Syncer:
    """The one of this process."""
    global _shared  # noqa: PLW0603 - one thread a process
    with _lock:
        if _shared is None:
            _shared = Syncer()
        return _shared


def _forget() -> None:
    global _shared, _lock
    _shared, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
