"""Writing into an embedded log so that all lives of a bridge are read as one writer, in their order."""

from __future__ import annotations

from pathlib import Path

from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.publisher import FilePublisher
from parsl_diaspora.fabric.file.segment import SegmentWriter, segment_names, writer_of
from parsl_diaspora.fabric.protocols import Consumer, Fabric, Publisher, Start
from parsl_diaspora.fabric.spool.fabric import SpooledFabric
from parsl_diaspora.fabric.spool.late import LateFabric


class Target:
    """The fabric that a bridge forwards to, under the bridge's name.

    Readers of an embedded log take the segments of different writers in no certain order. A bridge that is
    killed goes on with the same sources, so its segments bear its name and are numbered through.

    Args:
        fabric: where the events go.
        name: of the bridge.
    """

    def __init__(self, fabric: Fabric, name: str) -> None:
        self._fabric = fabric
        self._name = name

    @property
    def url(self) -> str:
        """That of the fabric."""
        return self._fabric.url

    @property
    def node_url(self) -> str | None:
        """That of the fabric."""
        return self._fabric.node_url

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher of the fabric, with segments of the bridge's if it is an embedded log.

        Raises:
            FabricUnavailable: it cannot be opened now.
        """
        if isinstance(log := opened(self._fabric), FileFabric):
            return _LogPublisher(log, self._name, source, buffer)
        return self._fabric.publisher(source, buffer=buffer, immediate=immediate)

    def consumer(self, name: str, *, start: Start = "earliest") -> Consumer:
        """A consumer of the fabric."""
        return self._fabric.consumer(name, start=start)

    def close(self) -> None:
        """Nothing is held open; the fabric is not the bridge's."""


def opened(fabric: Fabric) -> Fabric:
    """The fabric itself, where another one opens it when it can."""
    return (fabric.opened or fabric) if isinstance(fabric, LateFabric) else fabric


def behind(fabric: Fabric) -> Fabric:
    """The fabric itself, whatever stands in front of it."""
    fabric = opened(fabric)
    return opened(fabric.inner) if isinstance(fabric, SpooledFabric) else fabric


class _LogPublisher(FilePublisher):
    def __init__(self, log: FileFabric, name: str, source: str, buffer: int) -> None:
        self._log = log
        self._stem = name.replace(".", "_")  # dots part what a segment's name says
        super().__init__(log.directory, source, buffer, log.options)

    def _open_writer(self) -> SegmentWriter:
        boot = self._stamp.boot
        return self._log.segment_writer(
            boot, lambda _: f"{self._stem}.{_next_number(self._directory, self._stem):06d}-{boot}"
        )


def _next_number(directory: Path, stem: str) -> int:
    own = [name for name in segment_names(directory) if writer_of(name) == stem]
    numbers = [name[len(stem) + 1 :].partition("-")[0] for name in own]
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)
