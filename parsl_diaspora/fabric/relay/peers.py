"""Who is connected to the hub, and where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Union

import msgspec

from parsl_diaspora.fabric.relay.wire import Hello

GREETING = 5.0  # seconds between the hellos of a client with nothing to say
SILENCE = 6 * GREETING  # after that long a peer counts as gone

#: To whom an order goes: the source of one peer, or what a place must hold, as ``{"node": "n17"}``.
To = Union[str, Mapping[str, Any]]  # noqa: UP007 - evaluated at run time on Python 3.10


class Peer(msgspec.Struct):
    """One connection of one client.

    Attributes:
        identity: the connection, as the hub's socket names it.
        hello: what the client said of itself.
        heard: when it was last heard, monotonic seconds.
    """

    identity: bytes
    hello: Hello
    heard: float


def is_meant(hello: Hello, to: To) -> bool:
    """Whether an order to that address is for whoever says this hello.

    Example:
        >>> hello = Hello("ab", "worker:n17:4", {"node": "n17", "block": "0"}, takes_orders=True)
        >>> is_meant(hello, "worker:n17:4"), is_meant(hello, {"node": "n17"}), is_meant(hello, {"node": "n1"})
        (True, True, False)
    """
    if not hello.takes_orders:
        return False
    if isinstance(to, str):
        return hello.source == to
    return all(hello.place.get(name) == value for name, value in to.items())


class Peers:
    """The newest connection of each client that said hello."""

    def __init__(self) -> None:
        self._by_boot: dict[str, Peer] = {}

    def __len__(self) -> int:
        return len(self._by_boot)

    def note(self, identity: bytes, hello: Hello, now: float) -> bool:
        """A client said hello; whether the connection is a new one."""
        known = self._by_boot.get(hello.boot)
        self._by_boot[hello.boot] = Peer(identity, hello, now)
        return known is None or known.identity != identity

    def by_identity(self, identity: bytes) -> Peer | None:
        """Who speaks on a connection."""
        return next((peer for peer in self._by_boot.values() if peer.identity == identity), None)

    def meant(self, to: To) -> Iterable[Peer]:
        """Those whom an order is for."""
        return [peer for peer in self._by_boot.values() if is_meant(peer.hello, to)]

    def forget(self, peer: Peer) -> None:
        """It is gone."""
        if self._by_boot.get(peer.hello.boot) is peer:
            del self._by_boot[peer.hello.boot]

    def forget_silent(self, now: float) -> None:
        """Forget those that were not heard for long."""
        for peer in [peer for peer in self._by_boot.values() if now - peer.heard > SILENCE]:
            self.forget(peer)
