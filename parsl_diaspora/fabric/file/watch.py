"""Waiting for a log to grow: woken by the kernel on a local disk, by looking again elsewhere.

Network file systems do not tell of what other hosts write, so there, and where inotify cannot be had, a
reader looks again after `POLL_FIRST` to `POLL_LONGEST` seconds. What such a file system itself adds before it
shows what another host has written, seconds with NFS, nobody can take away.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from parsl_diaspora.fabric.file.segment import SUFFIX

logger = logging.getLogger(__name__)

POLL_FIRST, POLL_LONGEST = 0.002, 0.05
#: File systems on which the kernel sees every write. All others count as network file systems.
LOCAL = frozenset(
    ["bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"]
)
_LOOK_ANYWAY = 1.0  # seconds after which a watched directory is looked through in any case


class Watch(Protocol):
    """Tells a reader when and where to look."""

    def wait(self, timeout: float) -> None:
        """Come back when something may have changed, or after ``timeout`` seconds."""
        ...

    def changed(self) -> set[str] | None:
        """Names of the segments that may have changed since the last call; None if any may have."""
        ...

    def found(self) -> None:
        """The reader has found something."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


def watch(directory: Path) -> Watch:
    """The best way to watch a directory, which need not exist yet."""
    if sys.platform == "linux" and is_local(directory):
        try:
            return Notified(directory)
        except OSError as error:  # a user may have only so many
            logger.debug("The log %s is polled: %s.", directory, error)
    return Polled()


def is_local(directory: Path) -> bool:
    """Whether the kernel sees all that is written to a directory."""
    place = os.path.realpath(directory)
    mounts = [part for part in psutil.disk_partitions(all=True) if _is_below(place, part.mountpoint)]
    return bool(mounts) and max(reversed(mounts), key=lambda part: len(part.mountpoint)).fstype in LOCAL


class Polled:
    """Looks at everything, less and less often while nothing happens."""

    def __init__(self) -> None:
        self._pause = POLL_FIRST

    def wait(self, timeout: float) -> None:
        """Come back after a pause, which doubles each time until something is found."""
        time.sleep(max(0.0, min(self._pause, timeout)))
        self._pause = min(2 * self._pause, POLL_LONGEST)

    def found(self) -> None:
        """Something was found: begin with short pauses again."""
        self._pause = POLL_FIRST

    def changed(self) -> set[str] | None:
        """Any segment may have changed."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class Notified:
    """Woken by inotify. Once a second it looks at everything anyway, in case the kernel kept something back.

    Args:
        directory: to be watched; while it is not there, it is looked for as in `Polled`.

    Raises:
        OSError: the system has no further inotify to give.
    """

    def __init__(self, directory: Path) -> None:
        from inotify_simple import INotify, flags

        self._directory = directory
        self._wanted = flags.CREATE | flags.MODIFY | flags.MOVED_TO | flags.MOVE_SELF | flags.ONLYDIR
        self._ends = flags.IGNORED | flags.UNMOUNT | flags.MOVE_SELF
        self._overflow = flags.Q_OVERFLOW
        self._inotify = INotify(nonblocking=True)
        weakref.finalize(self, self._inotify.close)  # whoever forgets a consumer loses nothing
        self._ready = select.poll()
        self._ready.register(self._inotify.fileno(), select.POLLIN)
        self._watched = -1
        self._full_look = 0.0
        self._arm()

    def wait(self, timeout: float) -> None:
        """Come back when the kernel tells of a change."""
        if self._watched >= 0:
            self._ready.poll(1000 * max(0.0, min(timeout, _LOOK_ANYWAY)))
        elif not self._arm():
            time.sleep(max(0.0, min(timeout, POLL_LONGEST)))

    def changed(self) -> set[str] | None:
        """What the kernel told of."""
        names: set[str] = set()
        for event in self._inotify.read(timeout=0):
            if event.mask & self._ends and event.wd == self._watched:
                self._disarm()
            elif event.mask & self._overflow:
                self._full_look = 0.0
            elif event.name.endswith(SUFFIX):
                names.add(event.name)
        if self._watched >= 0 and time.monotonic() < self._full_look:
            return names
        self._full_look = time.monotonic() + _LOOK_ANYWAY
        return None

    def found(self) -> None:
        """That makes no difference here."""

    def close(self) -> None:
        """Give the watch back."""
        self._inotify.close()

    def _arm(self) -> bool:
        try:
            self._watched = self._inotify.add_watch(self._directory, self._wanted)
        except OSError:
            return False
        self._full_look = 0.0  # for what has changed before
        return True

    def _disarm(self) -> None:
        """The directory is gone, or has another name now: another one may take its place."""
        with suppress(OSError):
            self._inotify.rm_watch(self._watched)
        self._watched = -1


def _is_below(place: str, mount: str) -> bool:
    return mount in ("/", place) or place.startswith(mount.rstrip("/") + "/")
