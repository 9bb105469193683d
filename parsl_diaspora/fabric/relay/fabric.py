"""A site's hub as a fabric, for those who publish."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NoReturn

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.protocols import Publisher, Start
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.fabric.relay.address import read_url, relay_url, with_detour, without_detour
from parsl_diaspora.fabric.relay.inbox import OnOrder
from parsl_diaspora.fabric.relay.keys import load_client_keys
from parsl_diaspora.fabric.relay.publisher import RelayPublisher

logger = logging.getLogger(__name__)


class RelayFabric:
    """Publishes through a hub; who wants to read opens the fabric that the hub forwards to.

    Args:
        url: ``relay:HOST:PORT?key=FILE``, as the hub tells it. Behind ``&else=`` may stand the URL of another
            fabric, as it is: it takes the events after a second in which the hub took none, until the hub is
            back.

    Example:
        >>> RelayFabric("relay:node1:4000?key=keys/client.key").consumer("reader")
        Traceback (most recent call last):
        ...
        parsl_diaspora.errors.FabricError: A relay only takes events; they are read elsewhere. Open ...
    """

    def __init__(self, url: str) -> None:
        alone, self._detour = without_detour(url)
        self._address, self._key = read_url(alone)

    @property
    def url(self) -> str:
        """The URL; it holds the path of the keys, not the keys."""
        return with_detour(relay_url(self._address, self._key), self._detour)

    @property
    def node_url(self) -> str | None:
        """The same URL: nodes reach the hub under it, and must be able to read the file of the keys."""
        return self.url

    @property
    def only_takes(self) -> bool:
        """True: events are read where the hub forwards them to."""
        return True

    def publisher(
        self,
        source: str,
        *,
        buffer: int = 50_000,
        immediate: bool = False,
        on_order: OnOrder | None = None,
        place: Mapping[str, Any] | None = None,
    ) -> Publisher:
        """A publisher with a connection of its own, made with the first event, or at once if it takes orders.

        Args:
            source: who speaks.
            buffer: events kept in memory until the hub has them.
            immediate: let `publish` wait until the hub has the event, for 5 ms at most (250 ms for the first,
                which makes the connection), and not at all while the hub is away.
            on_order: called with the message of each order, in a thread of its own.
            place: where the speaker is, as ``{"node": "n17", "block": "0"}``: orders are addressed by it.

        Raises:
            FabricError: the keys cannot be read, and there is no other fabric, or it cannot be opened either.
        """
        try:
            keys = load_client_keys(self._key)
        except FabricError as error:
            if not self._detour:
                raise
            logger.warning("The relay is not used: %s", error)
            return open_fabric(self._detour).publisher(source, buffer=buffer, immediate=immediate)
        return RelayPublisher(
            self._address.endpoint,
            keys,
            source,
            buffer=buffer,
            immediate=immediate,
            on_order=on_order,
            place=place,
            detour=self._detour,
        )

    def consumer(self, name: str, *, start: Start = "earliest") -> NoReturn:
        """Not offered.

        Raises:
            FabricError: always.
        """
        del name, start
        hint = "Open the fabric that the hub forwards to."
        raise FabricError("A relay only takes events; they are read elsewhere.", url=self.url, hint=hint)

    def close(self) -> None:
        """Nothing is held open."""
