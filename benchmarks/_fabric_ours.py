"""The embedded log as a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from _events import BOOT

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.protocols import Consumer, Publisher


class FileLog:
    """Segments in a directory, through the library's own parts."""

    def __init__(self, place: str) -> None:
        self.place = place

    def writer(self, *, sync: bool = False) -> _Writer:
        """A segment's writer."""
        return _Writer(Path(self.place), sync)

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> Publisher:
        """The library's publisher; unless it is ``plain``, a flush waits for the disk, as by default."""
        url = f"file:{self.place}?durability=none" if plain else f"file:{self.place}"
        return open_fabric(url).publisher("benchmark", buffer=buffer)

    def reader(self) -> Consumer:
        """The library's consumer."""
        return open_fabric(f"file:{self.place}").consumer("benchmark")

    def close(self) -> None:
        """Nothing is held."""


class _Writer:
    def __init__(self, directory: Path, sync: bool) -> None:
        self._segment = SegmentWriter(directory, BOOT)
        self._sync = sync
        self._next = 1

    def append(self, encoded: Sequence[bytes]) -> None:
        self._segment.append(encoded, self._next)
        self._next += len(encoded)
        if self._sync:
            self._segment.sync()

    def begin(self) -> bool:
        return False

    def close(self) -> None:
        self._segment.close()
