"""Reading the embedded log: all segments of a directory, with positions that survive the reader."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, decode_many
from parsl_diaspora.fabric.file.frames import HEADER, Frame, Scan, scan_frames
from parsl_diaspora.fabric.file.segment import SUFFIX
from parsl_diaspora.fabric.protocols import Start

logger = logging.getLogger(__name__)

CHUNK = 1024 * 1024
POLL_FIRST, POLL_LONGEST = 0.002, 0.05


class FileConsumer:
    """Reads frames of all segments, each from its own position.

    Waiting is polling, 2 to 50 ms apart, so it works on network file systems as well.
    """

    def __init__(self, directory: Path, positions: Path, start: Start) -> None:
        self._directory = directory
        self._committed = positions
        self._positions: dict[str, int] = {}
        self._stuck: dict[str, int] = {}
        self._skipped = 0
        if (kept := _read_positions(positions)) is not None:
            self._positions = kept
        elif start != "earliest":
            self._positions = {name: self._first_after(name, start) for name in self._segments()}

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, segment by segment."""
        deadline = time.monotonic() + timeout
        pause = POLL_FIRST
        while not (events := self._read(limit)):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
            pause = min(2 * pause, POLL_LONGEST)
        return events

    def commit(self) -> None:
        """Keep the positions by atomic rename, so that a killed reader finds the old or the new ones."""
        self._committed.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._committed.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self._positions), encoding="utf-8")
        temporary.replace(self._committed)

    def lag(self) -> int:
        """Events behind the positions, counted from the frames' headers."""
        return sum(
            frame.count for name in self._segments() for frame in self._frames(name, Scan(self._at(name)))
        )

    def skipped(self) -> int:
        """Damaged stretches that were passed over."""
        return self._skipped

    def close(self) -> None:
        """Nothing is held open between polls."""

    def _segments(self) -> list[str]:
        try:
            names = os.listdir(self._directory)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.endswith(SUFFIX))

    def _at(self, name: str) -> int:
        return self._positions.get(name, 0)

    def _read(self, limit: int) -> list[Event]:
        events: list[Event] = []
        for name in self._segments():
            if len(events) >= limit:
                break
            self._read_segment(name, limit, events)
        return events

    def _read_segment(self, name: str, limit: int, events: list[Event]) -> None:
        size = _size(self._directory / name)
        if size <= self._at(name) or self._stuck.get(name) == size:
            return
        scan = Scan(self._at(name))
        for frame in self._frames(name, scan):
            events.extend(self._events(name, frame))
            self._positions[name] = frame.end
            if len(events) >= limit:
                break
        else:
            self._stuck[name] = size  # nothing more to be had until the file grows
        self._skipped += scan.skipped

    def _events(self, name: str, frame: Frame) -> list[Event]:
        try:
            return decode_many(frame.body)
        except EventError:
            self._skipped += 1
            logger.warning(
                "Segment %s has a frame at %d that holds no events; passed over.", name, frame.start
            )
            return []

    def _frames(self, name: str, scan: Scan) -> Iterator[Frame]:
        try:
            with (self._directory / name).open("rb", buffering=0) as file:
                yield from read_frames(file.fileno(), scan)
        except FileNotFoundError:
            return

    def _first_after(self, name: str, start: Start) -> int:
        scan = Scan(0)
        for frame in self._frames(name, scan):
            if start != "latest" and frame.time >= float(start):
                return frame.start
        return scan.position


def read_frames(fd: int, scan: Scan) -> Iterator[Frame]:
    """Whole frames of an open segment from ``scan.position`` on, in bounded memory."""
    chunk = CHUNK
    while len(data := os.pread(fd, chunk, scan.position)) >= HEADER.size:
        before, scan.wanted = scan.position, 0
        yield from scan_frames(data, scan.position, scan)
        if scan.position > before:
            chunk = CHUNK
        elif len(data) < chunk:
            return  # the end of the file as it is now
        else:
            chunk = max(scan.wanted, 2 * chunk)  # a frame larger than the chunk, or a long damaged stretch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read_positions(path: Path) -> dict[str, int] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        logger.warning("The positions in %s cannot be read (%s); reading starts over.", path, error)
        return None
    return {str(name): int(at) for name, at in kept.items()}
