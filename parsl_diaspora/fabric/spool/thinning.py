"""Taking the events of one topic out of a segment that nobody writes any more.

What is left goes into a segment of a new name that takes the old one's place in the writer's order; the old
one is removed afterwards. A process that dies in between leaves both, and some events are handed on twice.
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import decode_many, encode, join
from parsl_diaspora.fabric.file import large
from parsl_diaspora.fabric.file.frames import Frame, Scan, pack_frame, read_frames
from parsl_diaspora.fabric.file.index import index_of
from parsl_diaspora.fabric.file.segment import SUFFIX, delete_segment, writer_of


class Thinned(msgspec.Struct):
    """What became of a segment.

    Attributes:
        name: under which the rest is found; empty if there is none.
        dropped: how many events are gone, by run.
        files: of large events among them.
    """

    name: str = ""
    dropped: Counter[str] = msgspec.field(default_factory=Counter)
    files: list[Path] = msgspec.field(default_factory=list)


def thin(directory: Path, name: str, topic: str, position: int) -> Thinned:
    """Drop the events of one topic that lie behind ``position``; what lies before is dropped in any case.

    Raises:
        OSError: the rest cannot be written; the segment is as it was.
    """
    thinned = Thinned(name)
    successor = _successor(name)
    temporary = directory / f"{successor}.tmp"
    try:
        with temporary.open("wb") as target:
            written = _copy(directory / name, target, topic, position, thinned)
        shutil.copystat(directory / name, temporary)  # it stays as old as its events are
        if thinned.dropped or not written:
            _replace(temporary, directory, successor if written else "", thinned)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return thinned


def _copy(source: Path, target: BinaryIO, topic: str, position: int, thinned: Thinned) -> int:
    written = 0
    for frame in _frames(source, position):
        try:
            events = decode_many(frame.body)
        except EventError:  # whatever it is, it is not ours to drop
            written += target.write(pack_frame(frame.body, frame.count, frame.first, frame.time))
            continue
        kept = [event for event in events if event.topic != topic]
        gone = [event for event in events if event.topic == topic]
        thinned.dropped.update(event.run for event in gone)
        thinned.files.extend(filter(None, (large.file_of(source.parent, event) for event in gone)))
        if kept:
            body = join([encode(event) for event in kept])
            written += target.write(pack_frame(body, len(kept), frame.first, frame.time))
    return written


def _replace(temporary: Path, directory: Path, successor: str, thinned: Thinned) -> None:
    old, thinned.name = thinned.name, successor
    if not successor:
        delete_segment(directory, old)
        return
    temporary.replace(directory / successor)
    (directory / old).unlink(missing_ok=True)  # large events to which it refers now belong to its successor
    for path in (index_of(directory / old), *thinned.files):
        path.unlink(missing_ok=True)


def _successor(name: str) -> str:
    """A new name that sorts behind the old one and before the writer's next segment."""
    number = name.removesuffix(SUFFIX).rpartition(".")[2][:4]
    return f"{writer_of(name)}.{number}c{secrets.token_hex(4)}{SUFFIX}"


def _frames(path: Path, position: int) -> Iterator[Frame]:
    with path.open("rb", buffering=0) as file:
        yield from read_frames(file.fileno(), Scan(position))
