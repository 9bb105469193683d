"""The one writer of a segment."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from parsl_diaspora.events import join
from parsl_diaspora.fabric.file.frames import pack_frame

SUFFIX = ".events"
ROLL_BYTES = 64 * 1024 * 1024


class SegmentWriter:
    """Appends frames to a file that nobody else writes; begins a new one when it is full.

    The file is made with the first frame. Not thread-safe.

    Args:
        directory: of the log; must exist.
        boot: the publisher's boot id, part of the file's name.
        roll_bytes: size at which a new file is begun.
    """

    def __init__(self, directory: Path, boot: str, roll_bytes: int = ROLL_BYTES) -> None:
        self._directory = directory
        self._boot = boot
        self._roll_bytes = roll_bytes
        self._number = 0
        self._fd = -1
        self._end = 0

    def append(self, encoded: Sequence[bytes], first_seq: int) -> None:
        """Write events as one frame, whole or not at all.

        Raises:
            OSError: the frame could not be written; the segment is as it was before.
        """
        frame = pack_frame(join(encoded), len(encoded), first_seq, time.time())
        if self._fd < 0 or (self._end and self._end + len(frame) > self._roll_bytes):
            self._open_next()
        self._write(frame)

    def sync(self) -> None:
        """Make what was written survive a power loss as well."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file. A later append begins a new one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_next(self) -> None:
        self.close()
        name = f"{os.uname().nodename}.{os.getpid()}.{self._boot}.{self._number:04d}{SUFFIX}"
        self._fd = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._number += 1
        self._end = 0

    def _write(self, frame: bytes) -> None:
        try:
            written = os.write(self._fd, frame)
        except OSError:
            self._cut_back()
            raise
        if written < len(frame):  # the disk filled up, or a limit was met, in the middle of the frame
            self._cut_back()
            raise OSError(28, f"only {written} of {len(frame)} bytes could be written", str(self._directory))
        self._end += written

    def _cut_back(self) -> None:
        os.ftruncate(self._fd, self._end)
        os.lseek(self._fd, self._end, os.SEEK_SET)
