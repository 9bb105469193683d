"""The one writer of a segment."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from parsl_diaspora.events import join
from parsl_diaspora.fabric.file.frames import pack_frame

SUFFIX = ".events"
ROLL_BYTES = 64 * 1024 * 1024
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def segment_names(directory: Path) -> list[str]:
    """Names of the segments in a directory, in the order in which each publisher wrote its own.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX) and _is_file(entry))
    except FileNotFoundError:
        return []


def writer_of(name: str) -> str:
    """The part of a segment's name that all segments of one publisher share."""
    return name.removesuffix(SUFFIX).rpartition(".")[0]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # it went away, or is a link to nowhere
        return False


class SegmentWriter:
    """Appends frames to a file that nobody else writes; begins a new one when it is full, gone or broken.

    The file is made with the first frame. Not thread-safe.

    Args:
        directory: of the log; made again if it is removed.
        boot: the publisher's boot id, part of the file's name.
        roll_bytes: size at which a new file is begun.
        name: gives the stem of the file with a given number; by default host, process, boot and number.
    """

    def __init__(
        self,
        directory: Path,
        boot: str,
        roll_bytes: int = ROLL_BYTES,
        name: Callable[[int], str] | None = None,
    ) -> None:
        self._directory = directory
        self._boot = boot
        self._roll_bytes = roll_bytes
        self._name = name or self._own_name
        self._number = 0
        self._fd = -1
        self._device = self._inode = 0
        self._end = 0

    def append(self, encoded: Sequence[bytes], first: int) -> None:
        """Write events as one frame, whole or not at all.

        Args:
            encoded: the events, together no longer than a frame's body may be.
            first: number of the first of them among all that this publisher wrote.

        Raises:
            OSError: the frame could not be written; no reader will find it.
        """
        self.append_frames(pack_frame(join(encoded), len(encoded), first, time.time()))

    def append_frames(self, frames: bytes) -> None:
        """Write ready frames, one behind the other: all of them or none.

        Raises:
            OSError: they could not be written; no reader will find them.
        """
        if not self._is_usable() or self._is_full(len(frames)):
            self._open_next()
        try:
            self._write(frames)
        except OSError:
            if self._fd >= 0:
                raise
            self._open_next()  # it may have been that file's fault, as with a limit on its size
            self._write(frames)

    def sync(self) -> None:
        """Make what was written survive a power loss as well."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file. A later append begins a new one."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _is_full(self, more: int) -> bool:
        return bool(self._end) and self._end + more > self._roll_bytes

    def _is_usable(self) -> bool:
        """Whether the descriptor is still our file, and that file still has a name.

        A program that becomes a daemon closes all descriptors and may get their numbers for other files.
        """
        if self._fd < 0:
            return False
        try:
            status = os.fstat(self._fd)
        except OSError:
            self._give_up()
            return False
        if status.st_ino != self._inode or status.st_dev != self._device:
            self._fd = -1  # it is not ours to close
            return False
        return status.st_nlink > 0

    def _open_next(self) -> None:
        self.close()
        name = self._name(self._number) + SUFFIX
        try:
            self._fd = _create(self._directory / name)
        except FileNotFoundError:
            self._directory.mkdir(exist_ok=True)
            self._fd = _create(self._directory / name)
        status = os.fstat(self._fd)
        self._device, self._inode = status.st_dev, status.st_ino
        self._number += 1
        self._end = 0

    def _own_name(self, number: int) -> str:
        return f"{os.uname().nodename}.{os.getpid()}.{self._boot}.{number:04d}"

    def _write(self, frame: bytes) -> None:
        try:
            written = os.write(self._fd, frame)
            while written < len(frame):  # the disk fills up or a limit is met: the next call says which
                written += os.write(self._fd, frame[written:])
        except OSError as error:
            self._cut_back(error.errno)
            raise
        self._end += len(frame)

    def _cut_back(self, number: int | None) -> None:
        """Leave nothing of a failed write behind; give the file up if it may be the file's fault."""
        try:
            os.ftruncate(self._fd, self._end)
            os.lseek(self._fd, self._end, os.SEEK_SET)
        except OSError:
            self._give_up()
        else:
            if self._end and number not in _DISK_FULL:
                self._give_up()

    def _give_up(self) -> None:
        with suppress(OSError):
            self.close()


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
