"""How events lie in a segment.

A frame is a 32-byte header and a body:

    magic 4 | CRC-32 4 | body length 4 | events 4 | first 8 | time 8 | body

little-endian; the CRC covers all that follows it. The body is one joined message of events. A frame is
written by one ``write`` call, so a killed writer can only leave its last frame incomplete. No frame is longer
than `MAX_FRAME`, so whatever is longer and no frame is damage, not a frame that is still being written.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from zlib import crc32

import msgspec

MAGIC = b"PDe1"
HEADER = struct.Struct("<4sIIIQd")
_CHECKED = struct.Struct("<IIQd")
_CRC = struct.Struct("<4sI")
_HOLE = bytes(HEADER.size)
MAX_BODY = 512 * 1024
MAX_FRAME = HEADER.size + MAX_BODY  # what readers and the relay take
LARGEST_FRAME = 128 * 1024  # what is written into segments
TARGET_BODY = 64 * 1024
_BITE = 5 * 1024
CHUNK = 2 * MAX_FRAME  # a full chunk without a whole frame is damaged, so reading always gets on
_SLACK = 4096  # bytes that a writer may have added meanwhile


class Frame(msgspec.Struct, frozen=True):
    """A whole frame.

    Attributes:
        start: offset of its first byte in the segment.
        end: offset behind its last byte.
        count: events in it.
        first: number of its first event among all that this publisher wrote, from 1.
        time: when it was written, seconds UTC.
        body: the joined events.
    """

    start: int
    end: int
    count: int
    first: int
    time: float
    body: bytes


class Scan(msgspec.Struct):
    """Where a scan of a stretch of a segment stopped.

    Attributes:
        position: offset up to which all is read or passed over.
        skipped: damaged stretches that were passed over.
        lost: it stopped inside a damaged stretch, which is counted already.
        patient: wait for a stretch of zeros to be filled: a network file system may show a later write of
            another host before an earlier one.
        waits: it stopped before such a stretch.
    """

    position: int
    skipped: int = 0
    lost: bool = False
    patient: bool = False
    waits: bool = False

    def pass_over(self) -> None:
        """Take note of damage, once a stretch."""
        self.skipped += not self.lost
        self.lost = True


def pack_frame(body: bytes, count: int, first: int, time: float) -> bytes:
    """A frame as bytes.

    Raises:
        ValueError: the body is longer than readers would look for.
    """
    length = len(body)
    if length > MAX_BODY:
        message = f"A frame's body may have {MAX_BODY} bytes, not {length}."
        raise ValueError(message)
    crc = _checksum(body, crc32(_CHECKED.pack(length, count, first, time)))
    return HEADER.pack(MAGIC, crc, length, count, first, time) + body


def in_batches(encoded: list[bytes], target: int) -> Iterator[list[bytes]]:
    """Events in batches of about ``target`` bytes, each up to the event that reaches the target."""
    ends = list(accumulate(map(len, encoded)))
    begin = done = 0
    while begin < len(encoded):
        end = bisect_left(ends, done + target, begin) + 1
        yield encoded[begin:end]
        begin = end
        done = ends[min(end, len(ends)) - 1]


def _checksum(body: bytes, crc: int) -> int:
    """CRC-32 in bites so small that the interpreter is not given away: to get it back takes much longer."""
    if len(body) <= _BITE:
        return crc32(body, crc)
    view = memoryview(body)
    for at in range(0, len(body), _BITE):
        crc = crc32(view[at : at + _BITE], crc)
    return crc


def scan_frames(data: bytes, base: int, scan: Scan) -> Iterator[Frame]:
    """Whole frames in ``data``, which lies at offset ``base``; ``scan`` says where it stopped.

    Damage is passed over only if a whole frame follows it, or if it is longer than any frame: until then it
    may be a frame that is still being written.
    """
    at = scan.position - base
    while len(data) - at >= HEADER.size:
        frame = _frame_at(data, at, base)
        if frame is None:
            if scan.patient and data.startswith(_HOLE, at):
                scan.waits = True
                return
            frame = _next_frame(data, at + 1, base)
            if frame is None and len(data) - at <= MAX_FRAME:
                return
            scan.pass_over()
        if frame is None:
            scan.position = base + len(data) - MAX_FRAME  # no frame begins before that
            return
        at = frame.end - base
        scan.position, scan.lost = frame.end, False
        yield frame


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


def was_whole(header: bytes, left: int) -> bool:
    """Whether a frame that cannot be read was once written to its end: all its bytes are there, and wrong."""
    if len(header) < HEADER.size:
        return False
    magic, _, length, _, _, _ = HEADER.unpack(header)
    return magic != MAGIC or HEADER.size + int(length) <= left


def _frame_at(data: bytes, at: int, base: int) -> Frame | None:
    magic, crc, length, count, first, time = HEADER.unpack_from(data, at)
    end = at + HEADER.size + length
    if magic != MAGIC or length > MAX_BODY or end > len(data):
        return None
    if crc32(memoryview(data)[at + _CRC.size : end]) != crc:
        return None
    return Frame(base + at, base + end, count, first, time, data[at + HEADER.size : end])


def _next_frame(data: bytes, at: int, base: int) -> Frame | None:
    while (at := data.find(MAGIC, at)) >= 0:
        if len(data) - at < HEADER.size:
            return None
        if frame := _frame_at(data, at, base):
            return frame
        at += 1
    return None
