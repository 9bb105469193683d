"""An event to another fabric, as it is."""

from __future__ import annotations

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.protocols import Publisher
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.fabric.stamp import default_source


class Publish:
    """Passes events on to a fabric. Each keeps its id, so a reader tells what comes twice.

    Args:
        url: of the fabric.
        timeout: seconds until it must be safe there.
        trigger: name of the trigger.

    Raises:
        FabricError: the fabric cannot be opened.
    """

    def __init__(self, url: str, *, timeout: float, trigger: str) -> None:
        self._fabric = open_fabric(url)
        self._source = default_source(f"trigger-{trigger}")
        self._opened: Publisher | None = None
        self._timeout = timeout
        self._waiting: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Pass the event on, and wait until it is safe.

        Raises:
            FabricUnavailable: it is not safe within the timeout.
        """
        publisher = self._publisher()
        lost = publisher.flush(0).lost
        if event.id not in self._waiting:  # a further try waits for what is under way
            publisher.forward(event)
        report = publisher.flush(self._timeout)
        if report.waiting:
            self._waiting.add(event.id)
            message = f"{self._fabric.url} has not taken the event within {self._timeout:g} s."
            raise FabricUnavailable(message, url=self._fabric.url)
        self._waiting.clear()
        if report.lost > lost:
            raise FabricUnavailable(f"{self._fabric.url} has lost the event.", url=self._fabric.url)

    def caused(self, event: Event) -> bool:
        """An event that comes back has its old id, by which it is known."""
        del event
        return False

    def close(self) -> None:
        """Stop publishing."""
        if self._opened is not None:
            self._opened.close()
        self._fabric.close()

    def _publisher(self) -> Publisher:
        if self._opened is None:
            self._opened = self._fabric.publisher(self._source)
        return self._opened
