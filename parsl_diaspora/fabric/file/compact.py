"""Rewriting finished runs to their net effect: reports, runs and the stories of failed tasks stay the same.

Which events go is said by `parsl_diaspora.fabric.file.net_effect`; an `EventsCompacted` stands for them. Only
segments are rewritten that never grow again, hold nothing but finished runs, are whole, and are read to their
end by each named consumer. The old ones are kept in ``before-compact/TIME/``.

The log is read twice, and each segment that is rewritten once more. Memory: a chunk of a segment, one byte
for each task, and a small record for each segment, source, place and block.
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
from parsl_diaspora.events import EventsCompacted, decode_many, encode, join, split
from parsl_diaspora.fabric.file.frames import Frame, Scan, pack_frame, read_frames
from parsl_diaspora.fabric.file.net_effect import NetEffect, Selection
from parsl_diaspora.fabric.file.numbering import Numbering
from parsl_diaspora.fabric.file.retention import ABANDONED
from parsl_diaspora.fabric.file.rewrite import (
    Moved,
    consumers_at,
    finish_others,
    keep_copy,
    replace_segment,
    standing_of,
    translate,
)
from parsl_diaspora.fabric.file.segment import segment_names, writer_of

KEPT = "before-compact"
WORTH = 2  # events of one source and run: in the place of one would stand another one


class Compacted(msgspec.Struct):
    """One segment that holds events that need not be kept.

    Attributes:
        name: of the segment.
        before: bytes that it had.
        after: bytes that it has now.
        dropped: events that went.
        left: why nothing was done; empty if it was.
        kept: where it lies as it was, below the log's directory; empty if nowhere.
    """

    name: str
    before: int = 0
    after: int = 0
    dropped: int = 0
    left: str = ""
    kept: str = ""


class _Segment(msgspec.Struct):
    """What the first pass found in a segment."""

    name: str
    followed: bool
    runs: set[str] = set()
    end: int = 0
    hindrance: str = ""


class Compaction:
    """Compacts one log.

    Args:
        directory: of the log.
        force: also what named consumers have not read to its end.
        abandoned: also runs without an end whose writers are all dead.
        copy: keep the old segments.
    """

    def __init__(
        self, directory: Path, *, force: bool = False, abandoned: bool = False, copy: bool = True
    ) -> None:
        self._directory = directory
        self._force = force
        self._abandoned = abandoned
        self._copy = copy
        self._effect = NetEffect()
        self._moment = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
        self._alive: set[str] = set()  # runs with writers that may live

    def run(self, *, dry_run: bool = False) -> Iterator[Compacted]:
        """Compact segment by segment; tell of each one from which something could go.

        Raises:
            OSError: the log cannot be read or written.
        """
        if not dry_run:
            finish_others(self._directory)
        for segment in self._look():
            marks = {} if segment.hindrance else self._select(segment)
            if not marks:
                if segment.hindrance:
                    yield Compacted(segment.name, left=segment.hindrance)
                continue
            compacted = Compacted(segment.name, dropped=sum(mark.dropped for mark in marks.values()))
            compacted.before = compacted.after = (self._directory / segment.name).stat().st_size
            compacted.left = self._hindrance(segment)
            if not compacted.left and not dry_run:
                self._rewrite(segment, marks, compacted)
            yield compacted

    # --- the first pass ---

    def _look(self) -> list[_Segment]:
        names, numbering = segment_names(self._directory), Numbering()
        last = {writer_of(name): name for name in names}
        segments = [_Segment(name, followed=name != last[writer_of(name)]) for name in names]
        for segment in segments:
            try:
                self._look_into(segment, numbering)
            except OSError as error:
                segment.hindrance = f"it cannot be read: {error.strerror}"
            if self._abandoned and not self._is_long_dead(segment):
                self._alive |= segment.runs
        return segments

    def _look_into(self, segment: _Segment, numbering: Numbering) -> None:
        scan = Scan(0)
        with (self._directory / segment.name).open("rb", buffering=0) as file:
            for frame in read_frames(file.fileno(), scan):
                if frame.start != segment.end:
                    segment.hindrance = "it is damaged: repair it first"
                segment.end = frame.end
                self._listen(segment, frame, numbering)
            if os.fstat(file.fileno()).st_size != segment.end:
                segment.hindrance = "it is damaged or its end is torn: repair it first"

    def _listen(self, segment: _Segment, frame: Frame, numbering: Numbering) -> None:
        try:
            events = decode_many(frame.body)
        except EventError:
            segment.hindrance = "it is damaged: repair it first"
            return
        before = numbering.duplicates
        for event in events:
            numbering.note(event)
            self._effect.note(event)
            segment.runs.add(event.run)
        if numbering.duplicates > before:
            segment.hindrance = "it repeats events of another segment"

    def _is_long_dead(self, segment: _Segment) -> bool:
        path = self._directory / segment.name
        standing = standing_of(path)
        return standing == "dead" or (standing == "quiet" and time.time() - path.stat().st_mtime > ABANDONED)

    # --- what goes from a segment, and whether it may ---

    def _select(self, segment: _Segment) -> dict[tuple[str, str], EventsCompacted]:
        selection = Selection(self._effect)
        with (self._directory / segment.name).open("rb", buffering=0) as file:
            for frame in read_frames(file.fileno(), Scan(0)):
                for event in decode_many(frame.body):
                    selection.drops(event)
        return {key: mark for key, mark in selection.marks.items() if mark.dropped >= WORTH}

    def _hindrance(self, segment: _Segment) -> str:
        if open_runs := [run for run in sorted(segment.runs - {""}) if not self._is_finished(run)]:
            return f"run {open_runs[0]} has not ended"
        path = self._directory / segment.name
        if not segment.followed and standing_of(path) in ("alive", "fresh"):
            return "its writer may still write"
        behind = [name for name, at in consumers_at(self._directory, path.name).items() if at < segment.end]
        if behind and not self._force:
            return f"it is not read to its end by {', '.join(behind)}"
        return ""

    def _is_finished(self, run: str) -> bool:
        return self._effect.has_ended(run) or (self._abandoned and run not in self._alive)

    # --- the second pass ---

    def _rewrite(
        self, segment: _Segment, marks: dict[tuple[str, str], EventsCompacted], compacted: Compacted
    ) -> None:
        path = self._directory / segment.name
        still = segment.followed or standing_of(path) == "dead"
        if self._copy:
            compacted.kept = f"{KEPT}/{self._moment}/{path.name}"
            keep_copy(path, self._directory / KEPT / self._moment, still=still)
        positions = [*consumers_at(self._directory, path.name).values()]

        def write(old: BinaryIO, new: BinaryIO) -> Moved:
            starts = _net_frames(old, new, Selection(self._effect, marks))
            return Moved(translate(positions, starts), segment.end)

        compacted.after = replace_segment(path, write, still=still)


def _net_frames(old: BinaryIO, new: BinaryIO, selection: Selection) -> Iterator[tuple[int, int]]:
    """Write what is left; the old and new offset of each frame, and of the end."""
    end = 0
    for frame in read_frames(old.fileno(), Scan(0)):
        yield frame.start, new.tell()
        new.write(_net_frame(frame, selection))
        end = frame.end
    yield end, new.tell()


def _net_frame(frame: Frame, selection: Selection) -> bytes:
    kept = []
    for event, data in zip(decode_many(frame.body), split(frame.body), strict=True):
        if not selection.drops(event):
            kept.append(data)
        elif (mark := selection.instead(event)) is not None:
            kept.append(encode(mark))
    return pack_frame(join(kept), len(kept), frame.first, frame.time) if kept else b""
