"""Is the log whole? Checks every segment and the numbering of every source."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, decode_many
from parsl_diaspora.fabric.file.frames import HEADER, Scan, was_whole
from parsl_diaspora.fabric.file.scan import read_frames
from parsl_diaspora.fabric.file.segment import segment_names


class Verdict(msgspec.Struct):
    """What a check of a log found.

    Attributes:
        segments: files read.
        events: whole events in them.
        damaged: damaged stretches, as ``file at offset``.
        torn: segments whose last frame is incomplete, as a killed writer leaves it.
        gaps: numbers missing, as ``source: first-last``.
        duplicates: events that were there twice.
    """

    segments: int = 0
    events: int = 0
    damaged: list[str] = []
    torn: list[str] = []
    gaps: list[str] = []
    duplicates: int = 0

    @property
    def whole(self) -> bool:
        """Nothing that was once safe is missing. A torn tail is not a loss: it was never acknowledged."""
        return not (self.damaged or self.gaps)


def verify(directory: Path) -> Verdict:
    """Read all segments of a log, in bounded memory.

    Raises:
        OSError: a segment cannot be read.
    """
    verdict = Verdict()
    last: dict[str, int] = {}
    for name in segment_names(directory):
        verdict.segments += 1
        _verify_segment(directory / name, verdict, last)
    return verdict


def _verify_segment(path: Path, verdict: Verdict, last: dict[str, int]) -> None:
    scan = Scan(0)
    with path.open("rb", buffering=0) as file:
        end = 0
        for frame in read_frames(file.fileno(), scan):
            if frame.start > end:
                verdict.damaged.append(f"{path.name} at {end}")
            end = frame.end
            _verify_events(frame.body, path, frame.start, verdict, last)
        left = path.stat().st_size - scan.position
        if left and was_whole(os.pread(file.fileno(), HEADER.size, scan.position), left):
            verdict.damaged.append(f"{path.name} at {scan.position}")
        elif left:
            verdict.torn.append(path.name)


def _verify_events(body: bytes, path: Path, start: int, verdict: Verdict, last: dict[str, int]) -> None:
    try:
        events = decode_many(body)
    except EventError:
        verdict.damaged.append(f"{path.name} at {start}")
        return
    for event in events:
        verdict.events += 1
        _verify_number(event, verdict, last)


def _verify_number(event: Event, verdict: Verdict, last: dict[str, int]) -> None:
    before = last.get(event.boot, 0)
    if event.seq <= before:
        verdict.duplicates += 1
        return
    if event.seq > before + 1:
        verdict.gaps.append(f"{event.source}: {before + 1}-{event.seq - 1}")
    last[event.boot] = event.seq
