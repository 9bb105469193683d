"""Reading the embedded log: all segments of a directory, with positions that survive the reader."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from parsl_diaspora.errors import EventError, FabricUnavailable
from parsl_diaspora.events import Event, decode_many
from parsl_diaspora.fabric.file.frames import HEADER, MAX_FRAME, Frame, Scan, scan_frames
from parsl_diaspora.fabric.file.positions import keep_positions, read_positions
from parsl_diaspora.fabric.file.segment import segment_names, writer_of

logger = logging.getLogger(__name__)

CHUNK = 2 * MAX_FRAME  # a full chunk without a whole frame is damaged, so reading always gets on
POLL_FIRST, POLL_LONGEST = 0.002, 0.05
SETTLED = 2.0


class FileConsumer:
    """Reads frames of all segments, each from its own position.

    Waiting is polling, 2 to 50 ms apart, so it works on network file systems as well.

    Args:
        directory: of the log.
        positions: file that keeps the positions.
        start: where to begin if it keeps none: a time, or minus or plus infinity.
    """

    def __init__(self, directory: Path, positions: Path, start: float) -> None:
        self._directory = directory
        self._committed = positions
        self._quiet: dict[str, tuple[int, int]] = {}
        self._unreadable: set[str] = set()
        self._turn = ""
        self._skipped = 0
        kept = read_positions(positions)
        self._positions = self._begin_at(start) if kept is None else kept

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, segment by segment; a segment that cannot be read now is left for later.

        Raises:
            FabricUnavailable: the directory cannot be read.
        """
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
        """Keep the positions by atomic rename, so that a killed reader finds the old or the new ones.

        Raises:
            FabricUnavailable: they cannot be written.
        """
        try:
            keep_positions(self._committed, self._positions)
        except OSError as error:
            message = f"The position of a consumer cannot be kept in {self._committed}: {error.strerror}."
            raise FabricUnavailable(message, url=f"file:{self._directory}") from error

    def lag(self) -> int:
        """Events behind the positions, counted from the frames' headers."""
        return sum(self._lag_in(name) for name in self._segments())

    def skipped(self) -> int:
        """Damaged stretches that were passed over."""
        return self._skipped

    def close(self) -> None:
        """Nothing is held open between polls."""

    def _segments(self) -> list[str]:
        try:
            return segment_names(self._directory)
        except OSError as error:
            message = f"The events directory {self._directory} cannot be read: {error.strerror}."
            raise FabricUnavailable(message, url=f"file:{self._directory}") from error

    def _at(self, name: str) -> int:
        return self._positions.get(name, 0)

    def _read(self, limit: int) -> list[Event]:
        events: list[Event] = []
        names, self._turn = self._in_turn(), ""
        for name in names:
            self._read_segment(name, limit, events)
            if len(events) >= limit:
                self._turn = writer_of(name)
                break
        return events

    def _in_turn(self) -> list[str]:
        """Segments, first those behind the one where the limit was met: no busy writer hides the others."""
        names = self._segments()
        behind = [name for name in names if writer_of(name) > self._turn]
        return [*behind, *(name for name in names if writer_of(name) <= self._turn)]

    def _read_segment(self, name: str, limit: int, events: list[Event]) -> None:
        state = _state(self._directory / name)
        if state[0] <= self._at(name) or self._quiet.get(name) == state:
            return
        scan = Scan(self._at(name))
        for frame in self._frames(name, scan):
            events.extend(self._events(name, frame))
            if len(events) >= limit:
                break
        else:
            if name not in self._unreadable and _is_settled(state):
                self._quiet[name] = state  # nothing more to be had until the file changes
        self._positions[name] = scan.position
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
        except OSError as error:
            if name not in self._unreadable:
                logger.warning("Segment %s cannot be read now: %s.", name, error.strerror)
            self._unreadable.add(name)
        else:
            self._unreadable.discard(name)

    def _lag_in(self, name: str) -> int:
        at = self._at(name)
        if _state(self._directory / name)[0] <= at:
            return 0
        return sum(frame.count for frame in self._frames(name, Scan(at)))

    def _begin_at(self, start: float) -> dict[str, int]:
        if start == float("-inf"):
            return {}
        return {name: self._first_after(name, start) for name in self._segments()}

    def _first_after(self, name: str, moment: float) -> int:
        scan = Scan(0)
        for frame in self._frames(name, scan):
            if frame.time >= moment:
                return frame.start
        return scan.position


def read_frames(fd: int, scan: Scan) -> Iterator[Frame]:
    """Whole frames of an open segment from ``scan.position`` on, in bounded memory."""
    while len(data := os.pread(fd, CHUNK, scan.position)) >= HEADER.size:
        before = scan.position
        yield from scan_frames(data, before, scan)
        if scan.position == before:
            return  # the end of the file as it is now


def _state(path: Path) -> tuple[int, int]:
    """Size and time of the last change; a file that is written back to an earlier size has changed, too."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _is_settled(state: tuple[int, int]) -> bool:
    """Whether a further change would show in the time of the last one, which may be coarse."""
    return time.time() - state[1] / 1e9 > SETTLED
