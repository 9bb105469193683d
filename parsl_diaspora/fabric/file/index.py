"""The sparse time index beside a segment: where to begin for a given time without reading all that is before.

One entry for about each `STEP` bytes: an offset at which a frame begins, and the latest time of all frames
before it. So whatever an entry skips is older than the time that is looked for, even if the writer's clock
has stepped back in between. The index is only a hint: an entry that is damaged or missing costs reading,
never events, and small segments have none.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path
from zlib import crc32

SUFFIX = ".index"
STEP = 1_000_000
_ENTRY = struct.Struct("<QdI")
_CHECKED = struct.Struct("<Qd")


def index_of(segment: Path) -> Path:
    """The index beside a segment."""
    return segment.with_suffix(SUFFIX)


class IndexWriter:
    """Writes the index of the segment that its owner is writing. Not thread-safe.

    Args:
        segment: path of the segment.
    """

    def __init__(self, segment: Path) -> None:
        self._path = index_of(segment)
        self._next = STEP

    def note(self, offset: int, latest: float) -> None:
        """A frame begins at ``offset``, and no frame before it is later than ``latest`` (seconds UTC)."""
        if offset < self._next:
            return
        self._next = offset + STEP
        entry = _CHECKED.pack(offset, latest)
        with suppress(OSError):  # it is only a hint
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                os.write(fd, entry + struct.pack("<I", crc32(entry)))
            finally:
                os.close(fd)


def offset_before(segment: Path, moment: float, *, size: int) -> int:
    """An offset at which a frame begins and before which all frames are older than ``moment``; 0 if unknown.

    Args:
        segment: path of the segment.
        moment: seconds UTC; infinity for the last entry.
        size: of the segment; entries behind it are not believed.
    """
    try:
        data = index_of(segment).read_bytes()
    except OSError:
        return 0
    best = 0
    for at in range(0, len(data) - _ENTRY.size + 1, _ENTRY.size):
        offset, latest, crc = _ENTRY.unpack_from(data, at)
        if crc32(memoryview(data)[at : at + _CHECKED.size]) == crc and latest < moment and offset <= size:
            best = max(best, offset)
    return best
