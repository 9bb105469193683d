"""How much of what one writer wrote is on the disk."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import ExitStack
from pathlib import Path

from parsl_diaspora.fabric.file.sync import sync_directory

logger = logging.getLogger(__name__)


class OnDisk:
    """Counts what a writer has written and what is known to be on the disk. `sync` is for any thread.

    A file whose sync failed is never believed again, as the system may have dropped what it could not write:
    its events stay uncounted, and the writer begins another file.

    Args:
        directory: of the files.
        deferred: somebody calls `sync` soon after each write, so a file may wait for it before it is closed.
    """

    def __init__(self, directory: Path, *, deferred: bool) -> None:
        self._directory = directory
        self._deferred = deferred
        self._fd = -1
        self._left: list[int] = []
        self._turn = threading.Lock()
        self._syncing = threading.Lock()
        self._written = self._tried = self._lost = 0
        self._dirty = self._new = self._said = False
        self.failed = False

    @property
    def synced(self) -> int:
        """Events that survive a loss of power."""
        return self._tried - self._lost

    @property
    def behind(self) -> bool:
        """Whether something was written that no sync has met yet."""
        return self._written > self._tried

    def enter(self, fd: int) -> None:
        """The writer begins a new file."""
        with self._turn:
            self._fd = fd
            self._new = True
            self.failed = False

    def leave(self, *, ours: bool = True) -> None:
        """The writer has done with its file: it is closed, or left to the next sync.

        Args:
            ours: the descriptor is still that file.

        Raises:
            OSError: the file system says only now that it could not keep what was written.
        """
        with self._turn:
            fd, self._fd = self._fd, -1
            if fd < 0 or not ours:
                return
            if self._deferred and self._dirty:
                self._left.append(fd)
                return
            self._lost += self._written - self._tried  # no sync will ever meet them
            self._tried = self._written
            os.close(fd)

    def wrote(self, written: int) -> bool:
        """All that was written, in events; whether this is the first of it that no sync knows of."""
        self._written = written
        first, self._dirty = not self._dirty, True
        return first

    def sync(self) -> None:
        """Bring all that was written to the disk.

        Raises:
            OSError: it did not get there.
        """
        with self._syncing:
            self._dirty = False
            with self._turn:
                written, new, self._new = self._written, self._new, False
                fds, self._left = self._left, []
                if self._fd >= 0:
                    fds.append(os.dup(self._fd))
            try:
                self._sync(fds, new=new)
            except OSError as error:
                self._lost += written - self._tried
                self.failed = True
                self._say(error)
                raise
            finally:
                self._tried = written

    def _sync(self, fds: list[int], *, new: bool) -> None:
        with ExitStack() as closing:
            for fd in fds:
                closing.callback(os.close, fd)
            for fd in fds:
                os.fdatasync(fd)
            if new:
                sync_directory(self._directory)

    def _say(self, error: OSError) -> None:
        if not self._said:
            self._said = True
            logger.warning(
                "The disk under the event log %s did not take what was written (%s); events of that time "
                "survive the end of a process, but perhaps not a loss of power.",
                self._directory,
                error.strerror or error,
            )
