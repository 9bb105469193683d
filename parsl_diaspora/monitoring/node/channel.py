"""How events leave the node: through the run's fabric, or else together with the signs of life."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import Event, ServiceDegraded, encode
from parsl_diaspora.fabric.stamp import Stamp

if TYPE_CHECKING:
    from parsl_diaspora.fabric import Publisher

#: Events that wait for the interchange's port at most; they are told again for so many seconds.
MOST_WAITING = 500
TOLD_FOR = 5.0

Taker = Callable[[dict[str, Any]], None]


class Channel:
    """Says what happens on this node. Nothing here raises.

    Args:
        url: of the fabric; empty for none.
        source: who speaks.
        place: parts of the envelope that all events carry.
        now: monotonic seconds.
        on_order: takes orders that come through a relay.

    Attributes:
        place: may change, as with a new pool.
        faults: own faults that were absorbed, by part.
        changes: how often there was something to tell beside the fabric.
    """

    def __init__(
        self,
        url: str,
        source: str,
        place: dict[str, str],
        now: Callable[[], float],
        on_order: Taker | None = None,
    ) -> None:
        self.place = place
        self.faults: dict[str, int] = {}
        self.changes = 0
        self._now = now
        self._stamp = Stamp(source)
        self._beside: deque[tuple[float, str]] = deque(maxlen=MOST_WAITING)
        self._publisher: Publisher | None = None
        self._lost = 0
        try:
            self._publisher = _open(url, source, place, on_order) if url else None
        except Exception as error:  # noqa: BLE001 - a backend may lack its library here: events go another way
            self.absorb("fabric", error)

    def say(self, event: Event, **where: Any) -> None:
        """Say an event of this place; ``where`` names further parts of the envelope."""
        for part, value in (*self.place.items(), *where.items()):
            if getattr(event, part) in (None, ""):
                setattr(event, part, value)
        try:
            self._publish(event)
        except Exception as error:  # noqa: BLE001 - promise 1: what cannot be said must not end the watching
            self._count("fabric", error)

    def _publish(self, event: Event) -> None:
        if self._publisher is not None:
            self._publisher.publish(event)
            lost = self._publisher.flush(0.0).lost
            if lost <= self._lost:
                return
            self._lost = lost
        self._beside.append((self._now(), encode(self._stamp(event), "json").decode()))
        self.changes += 1

    def beside(self) -> list[str]:
        """Events to be told beside the fabric: the same ones for a while, as nobody acknowledges them."""
        since = self._now() - TOLD_FOR
        while self._beside and self._beside[0][0] < since:
            self._beside.popleft()
        return [text for _, text in self._beside]

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own and say it once."""
        if self._count(part, error) == 1:
            self.say(ServiceDegraded(part=f"node supervisor: {part}", why=str(error) or type(error).__name__))

    def _count(self, part: str, error: BaseException) -> int:
        del error
        self.faults[part] = self.faults.get(part, 0) + 1
        return self.faults[part]

    def close(self, timeout: float = 1.0) -> None:
        """Bring what was said to safety, for at most ``timeout`` seconds."""
        if self._publisher is not None:
            try:
                self._publisher.close(timeout)
            except Exception as error:  # noqa: BLE001 - it is the end anyway
                self._count("fabric", error)


def _open(url: str, source: str, place: Mapping[str, str], on_order: Taker | None) -> Publisher:
    if url.startswith("relay:"):
        from parsl_diaspora.fabric.relay import RelayFabric

        return RelayFabric(url).publisher(source, immediate=True, on_order=on_order, place=place)
    if url.startswith("file:"):
        from parsl_diaspora.fabric.file import FileFabric

        if not Path(url.removeprefix("file:").partition("?")[0]).is_dir():
            raise FabricUnavailable("This node does not see the directory of the run's events.", url=url)
        return FileFabric(url).publisher(source, immediate=True)
    from parsl_diaspora.fabric import open_fabric

    return open_fabric(url).publisher(source, immediate=True)
