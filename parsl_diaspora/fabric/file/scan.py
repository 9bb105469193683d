"""Reading the frames of a segment, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

from parsl_diaspora.fabric.file.frames import HEADER, MAX_FRAME, Frame, Scan, scan_frames

CHUNK = 2 * MAX_FRAME  # a full chunk without a whole frame is damaged, so reading always gets on
_SLACK = 4096  # bytes that a writer may have added meanwhile


def read_frames(fd: int, scan: Scan, *, left: int = CHUNK) -> Iterator[Frame]:
    """Whole frames of an open segment from ``scan.position`` on, in bounded memory.

    Args:
        fd: of the segment.
        scan: where to begin; says afterwards where it stopped.
        left: bytes that are known to be there; more may be.
    """
    chunk = min(CHUNK, left + _SLACK)
    while len(data := os.pread(fd, chunk, scan.position)) >= HEADER.size:
        before = scan.position
        yield from scan_frames(data, before, scan)
        if scan.position == before:
            return  # the end of the file as it is now
