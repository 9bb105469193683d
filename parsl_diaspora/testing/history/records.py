"""What writers and readers note, one JSON line a note."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class Met(msgspec.Struct, frozen=True, array_like=True):
    """One event as a reader got it.

    Attributes:
        source: who spoke.
        boot: its life.
        seq: number of the event within the life.
        number: the number that its seal holds, from 1; 0 for a count of losses; -1 when the seal is broken.
        lost: events that it says were lost.
    """

    source: str
    boot: str
    seq: int
    number: int
    lost: int = 0


class Note(msgspec.Struct, frozen=True, tag_field="note", omit_defaults=True):
    """Base of all notes."""


class Intends(Note, frozen=True, tag="intends"):
    """A writer is about to publish events up to this number; it may die before or after."""

    source: str
    upto: int


class Safe(Note, frozen=True, tag="safe"):
    """What `flush`, or a publish at once, has called safe: all events of the boot up to this number."""

    source: str
    boot: str
    upto: int


class Read(Note, frozen=True, tag="read"):
    """Events that one poll gave to one life of a reader, and what it has passed over so far."""

    reader: str
    life: str
    events: list[Met]
    skipped: int = 0


class Committed(Note, frozen=True, tag="committed"):
    """A commit returned: what this life has polled so far counts as read."""

    reader: str
    life: str


class Drained(Note, frozen=True, tag="drained"):
    """This reader has begun at the earliest and found nothing more at the end: it should have all."""

    reader: str


AnyNote = Intends | Safe | Read | Committed | Drained
_decode = msgspec.json.Decoder(AnyNote).decode


class Notes:
    """A file of notes with one writing process.

    Args:
        path: the file; it is made, or continued.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes"
        >>> with Notes(path) as notes:
        ...     notes.add(Drained("reader"))
        >>> list(read_notes([path]))
        [Drained(reader='reader')]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._write = os.write  # a test may replace the one of the module later

    def add(self, note: AnyNote) -> None:
        """Add a note: it stays when this process is killed afterwards.

        Raises:
            OSError: the file cannot be written.
        """
        self._write(self._fd, msgspec.json.encode(note) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_notes(paths: Iterable[str | os.PathLike[str]]) -> Iterator[AnyNote]:
    """All notes of several files, each file's in its order. A last line without an end is left out.

    Raises:
        OSError: a file cannot be read.
        msgspec.MsgspecError: a whole line is no note.
    """
    for path in paths:
        *whole, _ = Path(path).read_bytes().split(b"\n")
        yield from map(_decode, whole)
