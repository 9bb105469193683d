"""Retention: a log's oldest segments are deleted when it is too large or they are too old.

Any publisher's thread may do it, and two at once do no harm. Only segments that nobody writes any more are
deleted, and none that a named consumer has not read to its end, unless the log's options tell so: then the
loss is counted and said.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from parsl_diaspora.events import Event, EventsLost
from parsl_diaspora.fabric.file.frames import Scan, read_frames
from parsl_diaspora.fabric.file.index import index_of
from parsl_diaspora.fabric.file.large import files_of
from parsl_diaspora.fabric.file.options import FileOptions
from parsl_diaspora.fabric.file.positions import kept_positions
from parsl_diaspora.fabric.file.segment import delete_segment, segment_names, writer_of
from parsl_diaspora.fabric.file.writers import is_dead, writer_named

logger = logging.getLogger(__name__)

LOOK_EVERY = 60.0  # seconds between two looks, if no segment was begun meanwhile
ABANDONED = 24 * 3600.0  # seconds without a change after which a segment of another host counts as finished


class Candidate(NamedTuple):
    """A segment that nobody writes any more.

    Attributes:
        name: of the file.
        size: bytes of it and of what belongs to it.
        length: bytes of the segment alone.
        changed: seconds UTC.
    """

    name: str
    size: int
    length: int
    changed: float


class Retention:
    """Applies a log's options to it.

    Args:
        directory: of the log.
        options: of the log.
    """

    def __init__(self, directory: Path, options: FileOptions) -> None:
        self._directory = directory
        self._options = options
        self._rolls = 0
        self._next = 0.0
        self._said: set[str] = set()

    def is_due(self, rolls: int) -> bool:
        """Whether to look again: a segment was begun, or some time has passed.

        Args:
            rolls: segments that the caller has begun so far.
        """
        if not self._options.retains or (rolls == self._rolls and time.monotonic() < self._next):
            return False
        self._rolls, self._next = rolls, time.monotonic() + LOOK_EVERY
        return True

    def apply(self, say: Callable[[Event], None], now: float | None = None) -> list[str]:
        """Delete what need not be kept; names of the segments that are gone.

        Args:
            say: publishes what was lost.
            now: seconds UTC.
        """
        try:
            total, finished = self._look(time.time() if now is None else now)
            return self._delete(self._superfluous(total, finished, now or time.time()), say)
        except OSError as error:
            self._warn("look", f"Old segments in {self._directory} cannot be deleted now: {error}.")
            return []

    def _look(self, now: float) -> tuple[int, list[Candidate]]:
        """Bytes of the whole log, and the segments that nobody writes any more, the oldest first."""
        names = segment_names(self._directory)
        last = {writer_of(name): name for name in names}
        total, finished = 0, []
        for name in names:
            candidate = self._measure(name)
            total += candidate.size
            if name != last[writer_of(name)] or _is_abandoned(name, candidate.changed, now):
                finished.append(candidate)
        return total, sorted(finished, key=lambda each: each.changed)

    def _measure(self, name: str) -> Candidate:
        path = self._directory / name
        status = path.stat()
        others = [index_of(path), *files_of(self._directory, path.stem)]
        return Candidate(name, status.st_size + sum(map(_size, others)), status.st_size, status.st_mtime)

    def _superfluous(self, total: int, finished: Iterable[Candidate], now: float) -> Iterable[Candidate]:
        keep_bytes, keep_seconds = self._options.keep_bytes, self._options.keep_seconds
        for candidate in finished:
            too_large = keep_bytes is not None and total > keep_bytes
            too_old = keep_seconds is not None and now - candidate.changed > keep_seconds
            if too_large or too_old:
                total -= candidate.size
                yield candidate

    def _delete(self, superfluous: Iterable[Candidate], say: Callable[[Event], None]) -> list[str]:
        deleted = []
        consumers = kept_positions(self._directory)
        kept: set[str] = set()  # writers of whom one is kept: no hole among a writer's segments
        for candidate in superfluous:
            behind = [
                consumer
                for consumer, positions in consumers.items()
                if positions.get(candidate.name, 0) < candidate.length
            ]
            if writer_of(candidate.name) in kept:
                continue
            if behind and self._options.unread == "keep":
                kept.add(writer_of(candidate.name))
                self._keep(candidate.name, behind)
                continue
            lost = self._unread(candidate.name, [consumers[consumer] for consumer in behind])
            delete_segment(self._directory, candidate.name)
            deleted.append(candidate.name)
            if lost:
                names = ", ".join(sorted(behind))
                say(EventsLost(count=lost, why=f"retention deleted what was not read yet by: {names}"))
        return deleted

    def _unread(self, name: str, positions: list[Mapping[str, int]]) -> int:
        """Events of a segment that the consumer that is furthest behind has not read."""
        if not positions:
            return 0
        scan = Scan(min(each.get(name, 0) for each in positions))
        with (self._directory / name).open("rb", buffering=0) as file:
            return sum(frame.count for frame in read_frames(file.fileno(), scan))

    def _keep(self, name: str, behind: list[str]) -> None:
        for consumer in behind:
            self._warn(
                consumer,
                f"The log {self._directory} grows beyond what it should keep: the consumer {consumer!r} has "
                f"not read {name} yet. Let it read, remove consumers/{consumer}.json, or add "
                "'unread=delete'.",
            )

    def _warn(self, about: str, sentence: str) -> None:
        if about not in self._said:
            self._said.add(about)
            logger.warning("%s", sentence)


def _is_abandoned(name: str, changed: float, now: float) -> bool:
    """Whether the last segment of a writer will not grow any more."""
    writer = writer_named(name)
    if writer is not None and writer.host == os.uname().nodename:
        return writer.pid != os.getpid() and is_dead(writer.pid, changed)
    return now - changed > ABANDONED


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
