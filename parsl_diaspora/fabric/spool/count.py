"""How many events wait in a segment, from the headers of its frames, each of which is looked at once."""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from pathlib import Path

from parsl_diaspora.fabric.file.frames import HEADER, MAGIC

_HEADERS = 64 * 1024  # bytes to read at once: many small frames, or the header of a large one


class Count:
    """Remembers where the frames of one segment end, from a first position on.

    Args:
        position: where the first frame that counts begins, bytes.
    """

    __slots__ = ("_at", "_frames", "_waiting")

    def __init__(self, position: int) -> None:
        self._at = position
        self._waiting = 0
        self._frames: deque[tuple[int, int]] = deque()

    def behind(self, path: Path, position: int) -> int:
        """Events of whole frames behind ``position``, which never steps back."""
        with suppress(OSError):
            if os.stat(path).st_size > self._at:
                self._look(path)
        while self._frames and self._frames[0][0] <= position:
            self._waiting -= self._frames.popleft()[1]
        return self._waiting

    def _look(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            while self._walk(os.pread(fd, _HEADERS, self._at), size):
                pass
        finally:
            os.close(fd)

    def _walk(self, data: bytes, size: int) -> bool:
        """Go from header to header in one stretch; whether that got on."""
        start = self._at
        while self._at - start + HEADER.size <= len(data):
            magic, _, length, count, _, _ = HEADER.unpack_from(data, self._at - start)
            end = self._at + HEADER.size + length
            if magic != MAGIC or end > size:
                break  # damaged, or still being written
            self._frames.append((end, count))
            self._waiting += count
            self._at = end
        return self._at > start
