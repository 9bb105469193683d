"""A fabric that is opened when it can be: the spool in front of it starts without it."""

from __future__ import annotations

import threading
from contextlib import suppress

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.protocols import Consumer, Fabric, Publisher, Start, only_takes
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.masking import without_secrets


class LateFabric:
    """Opens the fabric of a URL at once if it is there, else when it is next needed.

    Args:
        url: of the fabric.

    Raises:
        FabricError: the URL can never be opened.
    """

    def __init__(self, url: str) -> None:
        self._named = url
        self._fabric: Fabric | None = None
        self._lock = threading.Lock()
        with suppress(FabricUnavailable):
            self._open()

    @property
    def url(self) -> str:
        """The URL without secrets."""
        return self._fabric.url if self._fabric else without_secrets(self._named)

    @property
    def opened(self) -> Fabric | None:
        """The fabric itself; None until it could be opened."""
        return self._fabric

    @property
    def node_url(self) -> str | None:
        """Under which worker processes can publish; None while it is not known."""
        return self._fabric.node_url if self._fabric else None

    @property
    def only_takes(self) -> bool:
        """Whether it has no consumers; False while it is not known."""
        return only_takes(self._fabric)

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher of the fabric.

        Raises:
            FabricUnavailable: it cannot be opened now.
        """
        return self._open().publisher(source, buffer=buffer, immediate=immediate)

    def consumer(self, name: str, *, start: Start = "earliest") -> Consumer:
        """A consumer of the fabric.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
            FabricUnavailable: the fabric cannot be opened now.
        """
        return self._open().consumer(name, start=start)

    def close(self) -> None:
        """Close the fabric, if it is open."""
        if self._fabric is not None:
            self._fabric.close()

    def _open(self) -> Fabric:
        with self._lock:
            if self._fabric is None:
                self._fabric = open_fabric(self._named)
            return self._fabric
