"""Is the log whole? Checks every segment, the numbers of the files, and the numbering of every source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.fabric.file.frames import HEADER, Frame, Scan, read_frames, was_whole
from parsl_diaspora.fabric.file.large import events_of
from parsl_diaspora.fabric.file.numbering import LISTED, Numbering, file_number
from parsl_diaspora.fabric.file.segment import SUFFIX, segment_names, writer_of
from parsl_diaspora.fabric.file.writers import writer_named


class Verdict(msgspec.Struct):
    """What a check of a log found. Of each sort no more than `LISTED` are listed.

    Attributes:
        segments: files read.
        events: whole events in them.
        damaged: damaged stretches, as ``file at offset``.
        torn: segments whose last frame is incomplete, as a killed writer leaves it.
        gaps: numbers missing, as ``source: first-last``.
        duplicates: events that were there twice.
        lost: files that are missing between others of the same writer.
        unreadable: files that cannot be read, with the reason.
        foreign: what is named like a segment and is none: no file, or no publisher's name and no frame in it.
        retired: files at the beginnings of writers that are gone, as retention leaves it.
        compacted: events that a compaction dropped.
        unlisted: how many more there are of a sort.
    """

    segments: int = 0
    events: int = 0
    damaged: list[str] = []
    torn: list[str] = []
    gaps: list[str] = []
    duplicates: int = 0
    lost: list[str] = []
    unreadable: list[str] = []
    foreign: list[str] = []
    retired: int = 0
    compacted: int = 0
    unlisted: dict[str, int] = {}

    @property
    def whole(self) -> bool:
        """Nothing that was once safe is missing. A torn tail is not a loss: it was never acknowledged."""
        return not (self.damaged or self.gaps or self.lost or self.unreadable)

    def find(self, sort: str, what: str) -> None:
        """Add a finding, or count it if there are many."""
        listed: list[str] = getattr(self, sort)
        if len(listed) < LISTED:
            listed.append(what)
        else:
            self.unlisted[sort] = self.unlisted.get(sort, 0) + 1


def verify(directory: Path) -> Verdict:
    """Read all segments of a log.

    Memory is bounded by the number of files and of sources, whatever the log's size.

    Raises:
        OSError: the directory cannot be read.
    """
    verdict, numbering = Verdict(), Numbering()
    names = segment_names(directory)
    with suppress(FileNotFoundError):  # it is made with the first publisher
        _find_foreign(directory, set(names), verdict)
    for name, retired in _numbered(names, verdict):
        verdict.segments += 1
        try:
            _verify_segment(directory, name, verdict, numbering, retired=retired)
        except OSError as error:
            verdict.find("unreadable", f"{name}: {error.strerror}")
    for gap in numbering.gaps():
        verdict.find("gaps", gap)
    verdict.duplicates, verdict.compacted = numbering.duplicates, numbering.compacted
    return verdict


def _find_foreign(directory: Path, segments: set[str], verdict: Verdict) -> None:
    with os.scandir(directory) as entries:
        others = [each.name for each in entries if each.name.endswith(SUFFIX) and each.name not in segments]
    for name in sorted(others):
        verdict.find("foreign", f"{name}: no file")


def _numbered(names: Iterable[str], verdict: Verdict) -> Iterator[tuple[str, bool]]:
    """Each segment, and whether the beginning of its writer's is gone; notes what is missing in between."""
    writer, number, retired = "", -1, False
    for name in names:
        found = file_number(name)
        if found is None:
            yield name, False
            continue
        before, number = number, found
        if writer_of(name) != writer:
            writer, retired = writer_of(name), number > 0
            verdict.retired += number
        elif number > before + 1:
            which = f"{before + 1:04}" if number == before + 2 else f"{before + 1:04} to {number - 1:04}"
            verdict.find("lost", f"{writer}: {which}")
        yield name, retired


def _verify_segment(
    directory: Path, name: str, verdict: Verdict, numbering: Numbering, *, retired: bool
) -> None:
    scan, end = Scan(0), 0
    with (directory / name).open("rb", buffering=0) as file:
        for frame in read_frames(file.fileno(), scan):
            if frame.start > end:
                verdict.find("damaged", f"{name} at {end}")
            end = frame.end
            _verify_events(directory, name, frame, verdict, numbering, retired=retired)
        left = os.fstat(file.fileno()).st_size - scan.position
        header = os.pread(file.fileno(), HEADER.size, scan.position)
    if not left:
        return
    if not end and writer_named(name) is None:
        verdict.find("foreign", f"{name}: no frame is in it")
    elif scan.position > end or was_whole(header, left):
        verdict.find("damaged", f"{name} at {end}")
    else:
        verdict.find("torn", name)


def _verify_events(
    directory: Path, name: str, frame: Frame, verdict: Verdict, numbering: Numbering, *, retired: bool
) -> None:
    try:
        events = events_of(directory, frame.body)
    except EventError:
        verdict.find("damaged", f"{name} at {frame.start}")
        return
    if len(events) < frame.count:  # what is set aside in files of its own
        verdict.find("damaged", f"{name} at {frame.start}: a large event's own file")
    for event in events:
        verdict.events += 1
        numbering.note(event, retired=retired)
