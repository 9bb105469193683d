"""What waits on the local disk: read in batches, let go of when the batch is known to be safe elsewhere."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.file.frames import Frame, Scan, read_frames
from parsl_diaspora.fabric.file.large import events_of
from parsl_diaspora.fabric.file.positions import keep_positions, read_positions
from parsl_diaspora.fabric.file.segment import delete_segment, segment_names, writer_of
from parsl_diaspora.fabric.spool.count import Count
from parsl_diaspora.fabric.spool.owners import Owners, Standing

logger = logging.getLogger(__name__)

POSITIONS = Path("consumers", "forwarder.json")


class Batch(msgspec.Struct):
    """Events to hand on together.

    Attributes:
        events: in the order of their sources.
        ends: how far each segment is read with them, bytes.
        size: bytes that were read.
    """

    events: list[Event] = []
    ends: dict[str, int] = {}
    size: int = 0


class Backlog:
    """The segments that this spool has to hand on, and how far it has come. Safe to use from several threads.

    All spools over one directory share one file of positions. Each adds what it knows to what is there, so
    the worst that two of them can do to each other is to make a third one hand on something twice.

    Args:
        directory: of the log.
        owners: tells which segments are ours.
        batch_bytes: about how much to read at once.
    """

    def __init__(self, directory: Path, owners: Owners, batch_bytes: int) -> None:
        self._directory = directory
        self._owners = owners
        self._batch_bytes = batch_bytes
        self._lock = threading.RLock()
        self._positions = read_positions(directory / POSITIONS) or {}
        self._counts: dict[str, Count] = {}
        self._in_flight: Batch | None = None
        self._said = False
        self._turn = ""

    def next_batch(self) -> Batch | None:
        """Events behind the positions, or None. Segments that are handed on to their end are deleted.

        Raises:
            OSError: the directory cannot be read.
        """
        with self._lock:
            batch = Batch()
            standings, replaced = self.standings(), set[str]()
            for name in self._in_turn(standings):
                if writer_of(name) in replaced:
                    continue
                if not self._read(name, standings[name], batch):
                    replaced.add(writer_of(name))  # by one that comes before later ones
                if batch.size >= self._batch_bytes:
                    self._turn = writer_of(name)
                    break
            self._in_flight = batch if batch.events else None
            return self._in_flight

    def settle(self, batch: Batch) -> None:
        """The batch is safe elsewhere: never read it again."""
        with self._lock:
            self._in_flight = None
            for name, end in batch.ends.items():
                self._positions[name] = max(end, self.position(name))
            self._keep()

    def tidy(self) -> None:
        """Delete what is handed on to its end and never grows again."""
        with suppress(OSError):
            self.next_batch()

    def waiting(self) -> int:
        """Events behind the positions, those that are just being handed on included."""
        with self._lock:
            return sum(self._waiting_in(name) for name in self._ours())

    def standings(self) -> Mapping[str, Standing]:
        """All segments of the directory, in each writer's order.

        Raises:
            OSError: the directory cannot be read.
        """
        return self._owners.standings(segment_names(self._directory))

    def position(self, name: str) -> int:
        """How far a segment is handed on, bytes."""
        with self._lock:
            return self._positions.get(name, 0)

    def is_in_flight(self, name: str) -> bool:
        """Whether events of that segment are just being handed on."""
        with self._lock:
            return self._in_flight is not None and name in self._in_flight.ends

    def forget(self, name: str) -> None:
        """The segment is gone."""
        with self._lock:
            self._positions.pop(name, None)
            self._counts.pop(name, None)

    def frames(self, name: str, scan: Scan) -> Iterator[Frame]:
        """Whole frames of a segment from where the scan stands.

        Raises:
            OSError: it cannot be read.
        """
        with (self._directory / name).open("rb", buffering=0) as file:
            yield from read_frames(file.fileno(), scan)

    def _ours(self) -> list[str]:
        try:
            standings = self.standings()
        except OSError:
            return []
        return [name for name, standing in standings.items() if standing != "foreign"]

    def _in_turn(self, standings: Mapping[str, Standing]) -> list[str]:
        """Ours, beginning behind the writer with whom the last batch ended: a busy one hides no other."""
        ours = [name for name, standing in standings.items() if standing != "foreign"]
        return sorted(ours, key=lambda name: (writer_of(name) <= self._turn, name))

    def _read(self, name: str, standing: Standing, batch: Batch) -> bool:
        """Add what a segment holds; whether it is still there."""
        before, scan = len(batch.events), Scan(self.position(name))
        try:
            for frame in self.frames(name, scan):
                batch.events.extend(self._events(name, frame))
                batch.ends[name] = frame.end
                batch.size += frame.end - frame.start
                if batch.size >= self._batch_bytes:
                    return True
        except FileNotFoundError:
            self.forget(name)
            return False
        except OSError as error:
            self._say(f"The segment {name} of the spool cannot be read now: {error.strerror}.")
        else:
            if standing == "sealed" and len(batch.events) == before:
                self._delete(name)
        return True

    def _events(self, name: str, frame: Frame) -> list[Event]:
        try:
            return events_of(self._directory, frame.body)
        except EventError:
            logger.warning(
                "Segment %s has a frame at %d that holds no events; passed over.", name, frame.start
            )
            return []

    def _delete(self, name: str) -> None:
        delete_segment(self._directory, name)
        self.forget(name)

    def _waiting_in(self, name: str) -> int:
        count = self._counts.setdefault(name, Count(self.position(name)))
        return count.behind(self._directory / name, self.position(name))

    def _keep(self) -> None:
        path = self._directory / POSITIONS
        try:
            names = segment_names(self._directory)
            kept = read_positions(path) or {}
            known = {name: max(self.position(name), kept.get(name, 0)) for name in names}
            self._positions = {name: at for name, at in known.items() if at}
            self._counts = {name: count for name, count in self._counts.items() if name in known}
            keep_positions(path, self._positions)
        except OSError as error:
            why = f"{error.strerror}; a later process may hand on again what this one did"
            self._say(f"How far the spool {self._directory} is handed on cannot be kept: {why}.")

    def _say(self, sentence: str) -> None:
        if not self._said:
            self._said = True
            logger.warning("%s", sentence)


def size_of(path: Path) -> int:
    """Bytes of a file; 0 if it is gone."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
