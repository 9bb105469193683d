"""Events that are too large for a frame lie in files of their own, and a reference takes their place.

    DIRECTORY/large/SEGMENT.NUMBER    the event's bytes

A file is whole before the frame that refers to it is written. A reader that does not find it, or finds other
bytes, passes the event over; the gap in its source's numbers tells.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from zlib import crc32

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, Unknown, decode, decode_many, encode

logger = logging.getLogger(__name__)

DIRECTORY = "large"
KIND = "file.set_aside"  # known to this module only: to all other readers it is a kind of a newer release
_THINNED = re.compile(r"(\.\d{4})c[0-9a-f]{8}$")
LIMIT = 60 * 1024  # bytes of an event in a frame: with a batch that has just not reached its target it fits
LARGEST = 8 * 1024 * 1024  # bytes of an event at all


def set_aside(directory: Path, name: str, data: bytes, *, sync: bool) -> bytes:
    """Write an encoded event into a file of its own; the encoded reference to it.

    Args:
        directory: of the log.
        name: of the file.
        data: the event.
        sync: bring the file to the disk.

    Raises:
        OSError: it could not be written.
    """
    place = directory / DIRECTORY
    place.mkdir(exist_ok=True)
    temporary = place / f"{name}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(place / name)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    return encode(_reference(decode(data), name, data))


def events_of(directory: Path, body: bytes) -> list[Event]:
    """The events of a frame, those that lie in files of their own included.

    Raises:
        EventError: the body holds no events.
    """
    events = decode_many(body)
    if not any(type(event) is Unknown for event in events):
        return events
    return [found for event in events if (found := _found(directory, event)) is not None]


def files_of(directory: Path, stem: str) -> Iterator[Path]:
    """The large events to which a segment refers, or once did.

    Args:
        directory: of the log.
        stem: of the segment; a thinned one has those of the segment whose place it took.
    """
    first = _THINNED.sub(r"\1", stem)
    with suppress(OSError):
        yield from (directory / DIRECTORY).glob(f"{_plain(first)}.*")


def file_of(directory: Path, event: Event) -> Path | None:
    """The file of a large event, if an event of a frame is the reference to one."""
    name = event.data.get("file") if isinstance(event, Unknown) and event.said_kind == KIND else None
    good = isinstance(name, str) and Path(name).name == name
    return directory / DIRECTORY / str(name) if good else None


def _found(directory: Path, event: Event) -> Event | None:
    if not (isinstance(event, Unknown) and event.said_kind == KIND):
        return event
    try:
        reference = msgspec.convert(event.data, _Reference)
        return _read(directory / DIRECTORY, reference)
    except (OSError, ValueError, EventError) as error:
        logger.warning("The event %s, too large for a segment, is passed over: %s", event.id, error)
        return None


class _Reference(msgspec.Struct):
    file: str
    size: Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
    crc: int


def _read(place: Path, reference: _Reference) -> Event:
    if Path(reference.file).name != reference.file:
        raise EventError(f"{reference.file!r} is no name of a file.")
    with (place / reference.file).open("rb") as file:
        data = file.read(reference.size + 1)
    if len(data) != reference.size or crc32(data) != reference.crc:
        raise EventError(f"{reference.file} has other bytes than the {reference.size} that were written.")
    return decode(data)


def _reference(event: Event, name: str, data: bytes) -> Unknown:
    return Unknown(
        source=event.source,
        boot=event.boot,
        seq=event.seq,
        time=event.time,
        mono=event.mono,
        run=event.run,
        said_kind=KIND,
        data=msgspec.structs.asdict(_Reference(file=name, size=len(data), crc=crc32(data))),
    )


def _plain(stem: str) -> str:
    """A name that a pattern takes literally."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in stem)
