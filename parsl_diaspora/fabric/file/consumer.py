"""Reading the embedded log: all segments of a directory, with positions that survive the reader."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from parsl_diaspora.errors import EventError, FabricUnavailable
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.file.frames import Frame, Scan, read_frames
from parsl_diaspora.fabric.file.index import offset_before
from parsl_diaspora.fabric.file.large import events_of
from parsl_diaspora.fabric.file.positions import keep_positions, read_positions
from parsl_diaspora.fabric.file.segment import segment_names, writer_of
from parsl_diaspora.fabric.file.watch import Watch, is_local, watch
from parsl_diaspora.fabric.file.writers import writer_named

logger = logging.getLogger(__name__)

SETTLED = 2.0
HOLE_PATIENCE = 5.0  # seconds for which a hole in a growing file of a network file system may be filled
STILL_GROWS = 30.0  # seconds without a change after which a file does not grow any more


class FileConsumer:
    """Reads frames of all segments, each from its own position.

    Args:
        directory: of the log.
        positions: file that keeps the positions.
        start: where to begin if it keeps none: a time, minus or plus infinity, or positions.
    """

    def __init__(self, directory: Path, positions: Path, start: float | Mapping[str, int]) -> None:
        self._directory = directory
        self._prefix = f"{directory}{os.sep}"
        self._path = positions
        self._quiet: dict[str, tuple[int, int]] = {}
        self._known: set[str] = set()
        self._finished: set[str] = set()
        self._pending: set[str] = set()
        self._unreadable: set[str] = set()
        self._holes: dict[str, tuple[int, float]] = {}  # by segment: where, and since when
        self._watch: Watch | None = None
        self._turn = ""
        self._left_out = ""
        self._skipped = 0
        kept = read_positions(positions)
        self._positions = self._begin_at(start) if kept is None else self._within_segments(kept)
        self._committed = None if kept is None else dict(kept)

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, segment by segment; a segment that cannot be read now is left for later.

        Raises:
            FabricUnavailable: the directory cannot be read.
        """
        deadline = time.monotonic() + timeout
        while not (events := self._read(limit)):
            left = deadline - time.monotonic()
            if left <= 0:
                return events
            self._wait(left)
        if self._watch is not None:
            self._watch.found()
        return events

    def leave_out(self, boot: str) -> None:
        """Do not read the segments of this boot."""
        self._left_out = f".{boot}."

    def commit(self) -> None:
        """Keep the positions by atomic rename, so that a killed reader finds the old or the new ones.

        Raises:
            FabricUnavailable: they cannot be written.
        """
        if self._positions == self._committed:
            return
        try:
            keep_positions(self._path, self._positions)
        except OSError as error:
            message = f"The position of a consumer cannot be kept in {self._path}: {error.strerror}."
            hint = "Who reads under a name of his own must be able to write there."
            raise FabricUnavailable(message, url=f"file:{self._directory}", hint=hint) from error
        self._committed = dict(self._positions)

    def position(self) -> dict[str, int]:
        """How far each segment is read, bytes."""
        return dict(self._positions)

    def lag(self) -> int:
        """Events behind the positions, counted from the frames' headers."""
        return sum(self._lag_in(name) for name in self._segments())

    def skipped(self) -> int:
        """Damaged stretches that were passed over, and segments that went before they were read."""
        return self._skipped

    def close(self) -> None:
        """Give back what wakes it."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _wait(self, timeout: float) -> None:
        if self._watch is None:
            self._watch = watch(self._directory)  # what comes before it watches is found by looking once more
        else:
            self._watch.wait(timeout)

    def _segments(self) -> list[str]:
        try:
            names = segment_names(self._directory, self._known)
        except OSError as error:
            message = f"The events directory {self._directory} cannot be read: {error.strerror}."
            hint = "Look at its permissions, and those of the directories above it."
            raise FabricUnavailable(message, url=f"file:{self._directory}", hint=hint) from error
        self._known = set(names)
        return names

    def _at(self, name: str) -> int:
        return self._positions.get(name, 0)

    def _read(self, limit: int) -> list[Event]:
        events: list[Event] = []
        names, last = self._names_to_read()
        self._turn = ""
        for number, name in enumerate(names):
            self._read_segment(name, limit, events, followed=last.get(writer_of(name), name) != name)
            if len(events) >= limit:
                self._turn = writer_of(name)
                self._pending.update(names[number:])
                break
        return events

    def _names_to_read(self) -> tuple[list[str], dict[str, str]]:
        """Segments that may have grown, and each writer's last one if all were looked at."""
        changed = self._watch.changed() if self._watch is not None else None
        last: dict[str, str] = {}
        if changed is None:
            found = self._segments()
            self._forget_all_but(found)
            last = {writer_of(name): name for name in found}
            changed = set(found) - self._finished
        else:
            changed |= self._pending
        self._pending = set()
        if self._left_out:
            changed = {name for name in changed if self._left_out not in name}
        return self._in_turn(sorted(changed)), last

    def _in_turn(self, names: list[str]) -> list[str]:
        """Segments, first those behind the one where the limit was met: no busy writer hides the others."""
        behind = [name for name in names if writer_of(name) > self._turn]
        return [*behind, *(name for name in names if writer_of(name) <= self._turn)]

    def _forget_all_but(self, names: list[str]) -> None:
        """Segments that are gone need no position. A directory without any may only be away for a while."""
        gone = self._positions.keys() - set(names)
        if not gone or not names:
            return
        for name in gone:
            del self._positions[name]
            self._quiet.pop(name, None)
        self._finished -= gone
        for name in gone & self._pending:
            self._skipped += 1
            logger.warning("Segment %s was deleted before it was read to its end.", name)

    def _read_segment(self, name: str, limit: int, events: list[Event], *, followed: bool) -> None:
        state = _state(self._prefix + name)
        if not followed and (state[0] <= self._at(name) or self._quiet.get(name) == state):
            return
        scan = Scan(self._at(name), patient=self._may_have_holes(name, state))
        for frame in self._frames(name, scan, state[0]):
            events.extend(self._events(name, frame))
            if len(events) >= limit:
                break
        else:
            if scan.waits:
                self._note_hole(name, scan.position)
            else:
                self._note_end(name, state, followed=followed)
        if scan.position:
            self._positions[name] = scan.position
        self._skipped += scan.skipped

    def _may_have_holes(self, name: str, state: tuple[int, int]) -> bool:
        """Whether zeros in a segment may still be filled, rather than be damage."""
        if self._is_local or time.time() - state[1] / 1e9 > STILL_GROWS:
            return False
        at, since = self._holes.get(name, (-1, 0.0))
        return at != self._at(name) or time.monotonic() - since < HOLE_PATIENCE

    def _note_hole(self, name: str, position: int) -> None:
        at, _ = self._holes.get(name, (-1, 0.0))
        if at != position:
            self._holes[name] = position, time.monotonic()

    @cached_property
    def _is_local(self) -> bool:
        return is_local(self._directory)

    def _note_end(self, name: str, state: tuple[int, int], *, followed: bool) -> None:
        """Nothing more is to be had of a segment until it changes, or ever."""
        if name in self._unreadable:
            return
        if followed and writer_named(name) is not None:
            self._finished.add(name)  # its writer has gone on to the next, and never comes back
        elif _is_settled(state):
            self._quiet[name] = state

    def _events(self, name: str, frame: Frame) -> list[Event]:
        try:
            events = events_of(self._directory, frame.body)
        except EventError:
            self._skipped += 1
            logger.warning(
                "Segment %s has a frame at %d that holds no events; passed over.", name, frame.start
            )
            return []
        self._skipped += len(events) < frame.count
        return events

    def _frames(self, name: str, scan: Scan, size: int) -> Iterator[Frame]:
        try:
            # never wait for what is no ordinary file
            fd = os.open(self._prefix + name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                yield from read_frames(fd, scan, left=max(0, size - scan.position))
            finally:
                os.close(fd)
        except FileNotFoundError:
            return
        except OSError as error:
            if name not in self._unreadable:
                logger.warning("Segment %s cannot be read now: %s.", name, error.strerror)
            self._unreadable.add(name)
        else:
            self._unreadable.discard(name)

    def _lag_in(self, name: str) -> int:
        at, size = self._at(name), _state(self._prefix + name)[0]
        if name in self._finished or size <= at:
            return 0
        return sum(frame.count for frame in self._frames(name, Scan(at), size))

    def _begin_at(self, start: float | Mapping[str, int]) -> dict[str, int]:
        if isinstance(start, Mapping):
            return dict(start)
        if start == float("-inf"):
            return {}
        return {name: self._first_after(name, start) for name in self._segments()}

    def _within_segments(self, positions: dict[str, int]) -> dict[str, int]:
        """Positions as they were kept; a segment that has become shorter since is read from its beginning."""
        sizes = {name: _state(self._prefix + name)[0] for name in positions}
        return {name: at if at <= sizes[name] or not sizes[name] else 0 for name, at in positions.items()}

    def _first_after(self, name: str, moment: float) -> int:
        size = _state(self._prefix + name)[0]
        scan = Scan(offset_before(self._directory / name, moment, size=size))
        for frame in self._frames(name, scan, size):
            if frame.time >= moment:
                return frame.start
        return scan.position


def _state(path: str) -> tuple[int, int]:
    """Size and time of the last change; a file that is written back to an earlier size has changed, too."""
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _is_settled(state: tuple[int, int]) -> bool:
    """Whether a further change would show in the time of the last one, which may be coarse."""
    return time.time() - state[1] / 1e9 > SETTLED
