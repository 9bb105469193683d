"""How events lie in a segment.

A frame is a 32-byte header and a body:

    magic 4 | CRC-32 4 | body length 4 | events 4 | first seq 8 | time 8 | body

little-endian; the CRC covers all that follows it. The body is one joined message of events. A frame is
written by one ``write`` call, so a killed writer can only leave its last frame incomplete.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import crc32

import msgspec

MAGIC = b"PDe1"
HEADER = struct.Struct("<4sIIIQd")
_CHECKED = struct.Struct("<IIQd")
_CRC = struct.Struct("<4sI")
MAX_BODY = 16 * 1024 * 1024
TARGET_BODY = 64 * 1024


class Frame(msgspec.Struct, frozen=True):
    """A whole frame.

    Attributes:
        start: offset of its first byte in the segment.
        end: offset behind its last byte.
        count: events in it.
        first_seq: number of the first event within its boot.
        time: when it was written, seconds UTC.
        body: the joined events.
    """

    start: int
    end: int
    count: int
    first_seq: int
    time: float
    body: bytes


class Scan(msgspec.Struct):
    """Where a scan of a stretch of a segment stopped.

    Attributes:
        position: offset up to which all is read or passed over.
        skipped: damaged stretches that were passed over.
        wanted: bytes from ``position`` on that are needed to go on; 0 if unknown.
    """

    position: int
    skipped: int = 0
    wanted: int = 0


def pack_frame(body: bytes, count: int, first_seq: int, time: float) -> bytes:
    """A frame as bytes."""
    checked = _CHECKED.pack(len(body), count, first_seq, time)
    return _CRC.pack(MAGIC, crc32(body, crc32(checked))) + checked + body


def scan_frames(data: bytes, base: int, scan: Scan) -> Iterator[Frame]:
    """Whole frames in ``data``, which lies at offset ``base``; ``scan`` says where it stopped.

    Damage is passed over only if a whole frame follows it: until then it may be a frame that is still
    being written.
    """
    at = scan.position - base
    while len(data) - at >= HEADER.size:
        frame = _frame_at(data, at, base)
        if frame is None:
            found = _next_frame(data, at + 1, base)
            if found is None:
                scan.wanted = _wanted(data, at)
                return
            scan.skipped += 1
            frame = found
        at = frame.end - base
        scan.position = frame.end
        yield frame
    scan.wanted = HEADER.size


def _frame_at(data: bytes, at: int, base: int) -> Frame | None:
    magic, crc, length, count, first_seq, time = HEADER.unpack_from(data, at)
    end = at + HEADER.size + length
    if magic != MAGIC or length > MAX_BODY or end > len(data):
        return None
    if crc32(memoryview(data)[at + _CRC.size : end]) != crc:
        return None
    return Frame(base + at, base + end, count, first_seq, time, data[at + HEADER.size : end])


def _next_frame(data: bytes, at: int, base: int) -> Frame | None:
    while (at := data.find(MAGIC, at)) >= 0:
        if len(data) - at < HEADER.size:
            return None
        if frame := _frame_at(data, at, base):
            return frame
        at += 1
    return None


def _wanted(data: bytes, at: int) -> int:
    magic, _, length, _, _, _ = HEADER.unpack_from(data, at)
    return HEADER.size + length if magic == MAGIC and length <= MAX_BODY else 0
