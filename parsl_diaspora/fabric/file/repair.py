"""Taking damage out of a log: what can be read stays, what cannot is kept elsewhere and told of.

A segment that has damaged stretches or a torn tail is written anew with its whole frames only, byte for byte,
and with an `EventsDamaged` for each stretch at its end. The old one is kept in ``damaged/TIME/``. Whole
segments are never touched, nor those whose writers may still write.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, EventsCompacted, EventsDamaged, decode_many, encode, join
from parsl_diaspora.fabric.file.frames import HEADER, Frame, Scan, pack_frame, read_frames, was_whole
from parsl_diaspora.fabric.file.numbering import Numbering, file_number
from parsl_diaspora.fabric.file.rewrite import (
    Moved,
    busy_consumers,
    consumers_at,
    finish_others,
    keep_copy,
    replace_segment,
    standing_of,
    translate,
)
from parsl_diaspora.fabric.file.segment import segment_names
from parsl_diaspora.fabric.file.writers import writer_named

DAMAGED = "damaged"
TOLD = 200  # stretches of one segment that are told one by one; their events fit into a frame


class Stretch(msgspec.Struct):
    """Bytes of a segment that are no whole frame, or hold no events.

    Attributes:
        start: offset of the first of them.
        size: how many.
        count: events that are known to be missing there.
        torn: it is an incomplete frame at the segment's end, as a killed writer leaves it.
    """

    start: int
    size: int
    count: int = 0
    torn: bool = False


class Repaired(msgspec.Struct):
    """One segment that was not whole.

    Attributes:
        name: of the segment.
        stretches: what was cut out of it, or would be.
        left: why nothing was done; empty if it was.
        kept: where it lies as it was, below the log's directory; empty if nothing was done.
    """

    name: str
    stretches: list[Stretch] = []
    left: str = ""
    kept: str = ""


class _Found(msgspec.Struct):
    """What a look at a segment found.

    Attributes:
        stretches: of damage.
        end: of the last whole frame.
        frames: whole ones.
    """

    stretches: list[Stretch] = []
    end: int = 0
    frames: int = 0


def repair(directory: Path, *, force: bool = False, dry_run: bool = False) -> Iterator[Repaired]:
    """Repair a log, segment by segment; tell of each one that is not whole.

    Can be called again at any time: what is whole stays as it is, and what was not finished is. Memory: a
    chunk of a segment, and a small record for each source.

    Args:
        directory: of the log.
        force: repair segments as well whose writers may still write, or that somebody is just reading.
        dry_run: only tell.

    Raises:
        OSError: the directory cannot be read or written.
    """
    if not dry_run:
        finish_others(directory)
    numbering, moment = (
        Numbering(),
        f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}",
    )
    for name in segment_names(directory):
        path = directory / name
        try:
            found = _look(path, numbering)
        except OSError as error:
            yield Repaired(name, left=f"it cannot be read: {error.strerror}")
            continue
        if not found.stretches:
            continue
        repaired = Repaired(name, found.stretches, left=_hindrance(path, found, force=force))
        if not repaired.left and not dry_run:
            repaired.kept = f"{DAMAGED}/{moment}/{name}"
            _repair(path, found, repaired.kept)
        yield repaired


def _hindrance(path: Path, found: _Found, *, force: bool) -> str:
    if not found.frames and writer_named(path.name) is None:
        return "it has no frame and no publisher's name, so it is no segment of this log"
    if force:
        return ""
    standing = standing_of(path)
    if standing == "alive":
        return "its writer lives"
    if standing == "fresh":
        return "its writer is on another host or not known, and it has grown within the last minute"
    if busy := busy_consumers(path, found.end):
        return f"it is just being read by {', '.join(busy)}"
    return ""


# --- looking ---


def _look(path: Path, numbering: Numbering) -> _Found:
    found, scan, retired = _Found(), Scan(0), bool(file_number(path.name))
    with path.open("rb", buffering=0) as file:
        for frame in read_frames(file.fileno(), scan):
            events = _events(frame)
            if events is None:
                continue  # it is no frame to keep: the next one ends the stretch
            _note_stretch(found, frame.start)
            for event in events:
                _note_missing(found, numbering.note(event, retired=retired), event)
            found.frames += 1
            found.end = frame.end
        size = os.fstat(file.fileno()).st_size
        header = os.pread(file.fileno(), HEADER.size, scan.position)
    if size > found.end:
        _note_stretch(found, size)
        torn = scan.position == found.end and not was_whole(header, size - scan.position)
        found.stretches[-1].torn = torn
    return found


def _note_stretch(found: _Found, start: int) -> None:
    """What lies between the last whole frame and ``start`` is damage."""
    size = start - found.end
    if size and len(found.stretches) < TOLD:
        found.stretches.append(Stretch(found.end, size))
    elif size:
        found.stretches[-1].size += size


def _note_missing(found: _Found, missing: int, event: Event) -> None:
    """What is missing is missing in the last stretch before, unless a compaction says that it dropped it."""
    if not found.stretches:
        return
    stretch = found.stretches[-1]
    stretch.count += missing
    if isinstance(event, EventsCompacted):
        stretch.count = max(0, stretch.count - event.explains(event.seq - missing - 1))


def _events(frame: Frame) -> list[Event] | None:
    try:
        return decode_many(frame.body)
    except EventError:
        return None


# --- writing ---


def _repair(path: Path, found: _Found, kept: str) -> None:
    still = standing_of(path) == "dead"
    keep_copy(path, path.parent / Path(kept).parent, still=still)
    positions = [*consumers_at(path.parent, path.name).values()]

    def write(old: BinaryIO, new: BinaryIO) -> Moved:
        starts = _copy(old, new)
        offsets = translate(positions, starts)
        new.write(_notes(path.name, found, kept))
        return Moved(offsets, found.end)

    replace_segment(path, write, still=still)


def _copy(old: BinaryIO, new: BinaryIO) -> Iterator[tuple[int, int]]:
    """Copy the whole frames; the old and new offset of each, and of the end."""
    end = 0
    for frame in read_frames(old.fileno(), Scan(0)):
        if _events(frame) is None:
            continue
        yield frame.start, new.tell()
        new.write(os.pread(old.fileno(), frame.end - frame.start, frame.start))
        end = frame.end
    yield end, new.tell()


def _notes(name: str, found: _Found, kept: str) -> bytes:
    now, boot, source = time.time(), secrets.token_hex(8), f"repair:{os.uname().nodename}:{os.getpid()}"
    events = [
        EventsDamaged(
            source=source,
            boot=boot,
            seq=number,
            time=now,
            mono=time.monotonic(),
            file=name,
            offset=stretch.start,
            size=stretch.size,
            count=stretch.count,
            kept=kept,
        )
        for number, stretch in enumerate(found.stretches, 1)
    ]
    return pack_frame(join([encode(event) for event in events]), len(events), 1, now)
