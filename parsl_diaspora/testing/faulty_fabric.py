"""A fabric that fails on demand, in front of one that does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import Event, EventsLost
from parsl_diaspora.fabric import Consumer, Fabric, FlushReport, Publisher, Start

#: ``up``: as it should be. ``refuses``: no publisher can be opened, open ones keep their events. ``hangs``:
#: the same, and each flush waits its whole timeout. ``stuck``: each call waits until the fault is over.
#: ``deaf``: events arrive, but are never confirmed. ``drops``: events are lost and counted.
Fault = Literal["up", "refuses", "hangs", "stuck", "deaf", "drops"]
_LOOK = 0.002


class FaultyFabric:
    """Passes events on to ``inner``, or does not.

    Args:
        inner: where they arrive.
        fault: what is wrong: assign to it at any time, or give a function that is asked at each call.
        poison: events that are lost and counted whatever the fault.

    Attributes:
        opened: how often a publisher was asked for.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> fabric = FaultyFabric(open_fabric("memory:"), "hangs")
        >>> publisher = fabric.publisher("me")
        >>> publisher.publish(RunEnded())
        >>> publisher.flush(0.01).waiting
        1
        >>> fabric.fault = "up"
        >>> publisher.flush().safe
        1
    """

    def __init__(
        self,
        inner: Fabric,
        fault: Fault | Callable[[], Fault] = "up",
        poison: Callable[[Event], bool] = lambda event: False,
    ) -> None:
        self.inner = inner
        self.fault = fault
        self.poison = poison
        self.opened = 0

    @property
    def url(self) -> str:
        """That of the inner fabric."""
        return self.inner.url

    @property
    def node_url(self) -> str | None:
        """That of the inner fabric: other processes meet no fault."""
        return self.inner.node_url

    def now(self) -> Fault:
        """What is wrong now; waits while everything is stuck."""
        while (fault := self.fault() if callable(self.fault) else self.fault) == "stuck":
            time.sleep(_LOOK)
        return fault

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher that fails with the fabric.

        Raises:
            FabricUnavailable: the fabric refuses.
        """
        self.opened += 1
        if self.now() == "refuses":
            raise FabricUnavailable("The fabric refuses, as it was told to.", url=self.url)
        return _FaultyPublisher(self, self.inner.publisher(source, buffer=buffer, immediate=immediate))

    def consumer(self, name: str, *, start: Start = "earliest") -> Consumer:
        """A consumer of the inner fabric, without faults."""
        return self.inner.consumer(name, start=start)

    def close(self) -> None:
        """Close the inner fabric."""
        self.inner.close()


class _FaultyPublisher:
    """Keeps events back while the fabric is at fault; they go on with the first call afterwards."""

    def __init__(self, fabric: FaultyFabric, publisher: Publisher) -> None:
        self._fabric = fabric
        self._publisher = publisher
        self._lock = threading.Lock()
        self._held: list[tuple[Callable[[Event], None], Event]] = []
        self._lost = self._unheard = 0

    @property
    def source(self) -> str:
        return self._publisher.source

    def publish(self, event: Event) -> None:
        self._take(self._publisher.publish, event)

    def forward(self, event: Event) -> None:
        self._take(self._publisher.forward, event)

    def flush(self, timeout: float = 5.0) -> FlushReport:
        self._wait_while_hanging(timeout)
        self._take()
        with self._lock:
            report = self._publisher.flush(timeout)
            return FlushReport(
                safe=report.safe - self._unheard,
                waiting=report.waiting + len(self._held) + self._unheard,
                lost=report.lost + self._lost,
            )

    def close(self, timeout: float = 2.0) -> FlushReport:
        report = self.flush(timeout)
        with self._lock:
            self._lost += len(self._held)
            self._held.clear()
        self._publisher.close(timeout)
        return report

    def _wait_while_hanging(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._fabric.now() == "hangs" and time.monotonic() < deadline:
            time.sleep(_LOOK)

    def _take(self, say: Callable[[Event], None] | None = None, event: Event | None = None) -> None:
        fault = self._fabric.now()
        with self._lock:
            if say is not None and event is not None:
                self._held.append((say, event))
            if fault in ("refuses", "hangs"):
                return
            for held in self._held:
                self._pass_on(fault, *held)
            self._held.clear()

    def _pass_on(self, fault: Fault, say: Callable[[Event], None], event: Event) -> None:
        if fault == "drops":
            self._lost += 1
        elif self._fabric.poison(event):
            self._lost += 1
            self._publisher.publish(EventsLost(run=event.run, count=1, why="refused"))
        else:
            say(event)
            self._unheard += fault == "deaf"
