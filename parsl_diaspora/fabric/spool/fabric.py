"""A fabric behind a spool."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.protocols import Consumer, Fabric, Publisher, Start, only_takes
from parsl_diaspora.fabric.spool.handover import FLUSH_TIMEOUT
from parsl_diaspora.fabric.spool.lag import LAG_EVENTS, LAG_SECONDS
from parsl_diaspora.fabric.spool.publisher import SpoolPublisher
from parsl_diaspora.fabric.spool.room import DROP_ORDER
from parsl_diaspora.fabric.spool.spool import Spool, SpoolReport

LIMIT_BYTES = 1024**3
HOST = "{host}"
_CLOSE_TIMEOUT = 2.0
_SMALLEST = 16 * 1024


class SpooledFabric:
    """Store and forward: publishers write to the local disk, a thread hands on to the fabric behind.

    What `flush` calls safe is on the local disk, or confirmed by the fabric behind. The spool is bounded on
    disk by ``limit_bytes`` and in memory by the publishers' ``buffer``. Readers read from the fabric behind.

    Args:
        inner: the fabric behind; closed together with this one.
        directory: of the spool, best on a disk of this node. Other processes may use the same one. ``{host}``
            in it stands for the name of the node: on a shared file system each node then has a directory of
            its own, and does not look at what others write.
        limit_bytes: how much of the disk the spool may take.
        drop_order: topics whose events go when the limit is met, the first first, each from its oldest event
            on. Events of other topics are never dropped; they wait in memory and are lost there, the newest
            first.
        lag_events: waiting events from which on a `FabricLagged` says so, if they do not go within 2 s.
        lag_seconds: the same for the time in which none was handed on, although some waited.
        flush_timeout: seconds for one flush of the fabric behind.
        clock: time for pauses and for what is said of lag.
        chance: spreads the pauses.

    Raises:
        FabricError: an argument is out of its range.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> fabric = SpooledFabric(open_fabric("memory:"), tempfile.mkdtemp())
        >>> publisher = fabric.publisher("me")
        >>> publisher.publish(RunEnded(done=3))
        >>> publisher.close().safe
        1
        >>> fabric.drain()
        True
        >>> [event.done for event in fabric.consumer("you").poll()]
        [3]
        >>> fabric.close()
    """

    def __init__(
        self,
        inner: Fabric,
        directory: str | os.PathLike[str],
        *,
        limit_bytes: int = LIMIT_BYTES,
        drop_order: Sequence[str] = DROP_ORDER,
        lag_events: int = LAG_EVENTS,
        lag_seconds: float = LAG_SECONDS,
        flush_timeout: float = FLUSH_TIMEOUT,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        if limit_bytes < _SMALLEST:
            message = f"A spool needs at least {_SMALLEST} bytes, not {limit_bytes}."
            raise FabricError(message, url=inner.url, hint="Try limit=1GB, or limit_bytes=10**9.")
        self.inner = inner
        self._named = Path(directory).absolute()
        self.limit_bytes = limit_bytes
        self.drop_order = tuple(drop_order)
        self._spool = Spool(
            inner,
            Path(str(self._named).replace(HOST, os.uname().nodename)),
            limit_bytes=limit_bytes,
            drop_order=self.drop_order,
            lag_events=lag_events,
            lag_seconds=lag_seconds,
            flush_timeout=flush_timeout,
            clock=clock or SystemClock(),
            chance=chance or random.Random(),
        )

    @property
    def directory(self) -> Path:
        """Where events wait."""
        return self._spool.directory

    @property
    def url(self) -> str:
        """The URL of the fabric behind: there the events are found later."""
        return self.inner.url

    @property
    def node_url(self) -> str | None:
        """Under which worker processes publish: through a spool of theirs in a directory of the same name."""
        behind = self.inner.node_url
        drop = "" if self.drop_order == DROP_ORDER else f"drop={','.join(self.drop_order)}&"
        return behind and f"spool:{self._named}?limit={self.limit_bytes}&{drop}to={behind}"

    @property
    def only_takes(self) -> bool:
        """Whether the fabric behind has no consumers."""
        return only_takes(self.inner)

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher that writes to the spool. Never fails: without a usable disk it writes past it."""
        self._make_directory()
        self._spool.closed = False
        publisher = SpoolPublisher(self._spool, source, buffer, immediate=immediate)
        self._spool.run()
        return publisher

    def consumer(self, name: str, *, start: Start = "earliest") -> Consumer:
        """A consumer of the fabric behind; what is left here from dead processes is handed on to it.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
            FabricUnavailable: the fabric behind cannot be opened or read now.
        """
        if self.directory.is_dir():
            self._spool.run()
        return self.inner.consumer(name, start=start)

    def lag(self) -> int:
        """Events that are not handed on yet, on the local disk and in memory."""
        return self._spool.waiting()

    def report(self) -> SpoolReport:
        """How the spool stands: what waits, went on, and was dropped."""
        return self._spool.report()

    def drain(self, timeout: float = 5.0) -> bool:
        """Wait up to ``timeout`` seconds until nothing waits; whether that came to be."""
        return self._spool.drain(timeout)

    def close(self) -> None:
        """Give the forwarder 2 s for what waits, stop it, and close the fabric behind.

        What is left stays on the disk; the next process that opens the spool hands it on.
        """
        self._spool.close(_CLOSE_TIMEOUT)
        self.inner.close()

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._spool.degrade(error)
