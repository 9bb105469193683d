"""Where the hub brings events to safety before it acknowledges them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, decode_many, encode
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.frames import HEADER, Frame, Scan, read_frames
from parsl_diaspora.fabric.file.retention import Retention
from parsl_diaspora.fabric.file.segment import segment_names, writer_of
from parsl_diaspora.fabric.protocols import Fabric
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.fabric.relay.wire import FORWARDED
from parsl_diaspora.fabric.stamp import Stamp, default_source

logger = logging.getLogger(__name__)

_WRITER = "relay"
_TAIL = 256 * 1024 * 1024  # bytes of earlier hubs that are read: what is sent again was stored last
_PATIENCE = 2.0
_FORWARD_BUFFER = 200_000  # more than one group of batches can hold, so forwarding never overflows it


class Store(Protocol):
    """What the hub needs of its target."""

    def append(self, frames: Sequence[bytes]) -> bool:
        """Bring frames to safety; whether all of them are."""
        ...

    def last_events(self) -> dict[str, int]:
        """Number of the last event of each boot that is known to be stored."""
        ...

    def close(self) -> None:
        """Make what was stored as safe as can be, and let go."""
        ...


def open_store(to: str | Fabric) -> Store:
    """The store for a fabric, or for the URL of one. A fabric that is given stays open.

    Raises:
        FabricError: the fabric cannot be opened.
    """
    fabric = open_fabric(to) if isinstance(to, str) else to
    if isinstance(fabric, FileFabric):
        return SegmentStore(fabric)
    return ForwardingStore(fabric, is_own=isinstance(to, str))


class SegmentStore:
    """Appends frames as they are to a segment of its own in the directory of an embedded log."""

    def __init__(self, fabric: FileFabric) -> None:
        self._directory = fabric.directory
        self._stamp = Stamp(default_source("relay"))
        self._boot = self._stamp.boot
        self._writer = fabric.segment_writer(self._boot, self._name)
        self._retention = Retention(fabric.directory, fabric.options)
        self._sync = bool(fabric.options.synced_at_once)  # whose topics they are is not looked at here
        self._said = False

    def append(self, frames: Sequence[bytes]) -> bool:
        """One write, and one sync if the log declares it, for all of them."""
        try:
            self._writer.append_frames(frames)
            if self._sync:
                self._writer.sync()
        except OSError as error:
            self._say(error)
            return False
        self._said = False
        if self._retention.is_due(self._writer.rolls):
            self._retention.apply(self._publish)
        return True

    def last_events(self) -> dict[str, int]:
        """As the newest segments of the hubs before this one tell."""
        found: dict[str, int] = {}
        try:
            for path in _newest(self._directory):
                _note_last_events(path, found)
        except OSError as error:
            logger.warning(
                "The log %s cannot be read (%s); some events may be stored twice.", self._directory, error
            )
        return found

    def close(self) -> None:
        """Sync and close the segment."""
        try:
            self._writer.sync()
            self._writer.close()
        except OSError as error:
            self._say(error)

    def _publish(self, event: Event) -> None:
        try:
            self._writer.append([encode(self._stamp(event))], FORWARDED)
        except OSError as error:
            self._say(error)

    def _name(self, number: int) -> str:
        """Behind those of all hubs before it, as if one writer had written them: a client's order holds."""
        del number
        return f"{_WRITER}.{_next_number(self._directory):06d}-{self._boot}"

    def _say(self, error: OSError) -> None:
        if not self._said:
            self._said = True
            why = error.strerror or error
            logger.warning(
                "The relay cannot write to %s (%s); its clients keep their events.", self._directory, why
            )


class ForwardingStore:
    """Forwards each event to a fabric of any kind, and waits until that says that it is safe.

    Args:
        fabric: of any kind.
        is_own: whether it is to be closed with the store.
    """

    def __init__(self, fabric: Fabric, *, is_own: bool = True) -> None:
        self._fabric = fabric
        self._is_own = is_own
        self._publisher = fabric.publisher(default_source("relay"), buffer=_FORWARD_BUFFER)
        self._settled = True
        self._given: set[bytes] = set()  # frames forwarded and not yet acknowledged: they will come again

    def append(self, frames: Sequence[bytes]) -> bool:
        """Forward them. What the target refuses for good it counts and says itself, so it counts as done.

        A target that takes longer than a client's patience is given the same frames again and again: what it
        has been given before is only waited for.
        """
        if not self._settled and not self._flush():
            return False  # what the target has not taken yet is enough
        for frame in frames:
            if frame not in self._given:
                self._forward(frame)
        self._given.update(frames)
        if not self._flush():
            return False
        self._given.clear()
        return True

    def last_events(self) -> dict[str, int]:
        """Nothing is known of earlier hubs; readers recognise what comes twice by its id."""
        return {}

    def close(self) -> None:
        """Bring everything to safety."""
        self._publisher.close()
        if self._is_own:
            self._fabric.close()

    def _forward(self, frame: bytes) -> None:
        try:
            events = decode_many(frame[HEADER.size :])
        except EventError as error:
            logger.warning("A frame that holds no events was passed over: %s", error)
            return
        for event in events:
            self._publisher.forward(event)

    def _flush(self) -> bool:
        self._settled = self._publisher.flush(_PATIENCE).waiting == 0
        return self._settled


def _of_hubs(directory: Path) -> list[str]:
    return [name for name in segment_names(directory) if writer_of(name) == _WRITER]


def _next_number(directory: Path) -> int:
    numbers = [name.split(".")[1].partition("-")[0] for name in _of_hubs(directory)]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


def _newest(directory: Path) -> Iterator[Path]:
    left = _TAIL
    for name in reversed(_of_hubs(directory)):
        if left > 0:
            yield directory / name
        left -= (directory / name).stat().st_size


def _note_last_events(path: Path, found: dict[str, int]) -> None:
    with path.open("rb", buffering=0) as file:
        for frame in read_frames(file.fileno(), Scan(0)):
            if frame.first != FORWARDED and (boot := _boot_of(frame)):
                found[boot] = max(found.get(boot, 0), frame.first + frame.count - 1)


def _boot_of(frame: Frame) -> str:
    try:
        events = decode_many(frame.body)
    except EventError:
        return ""
    return events[0].boot if events else ""
