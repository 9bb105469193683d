"""Hosts and ports, and the URL of a relay."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, quote

import msgspec

from parsl_diaspora.errors import FabricError

_ANY_HOST = ("0.0.0.0", "*", "[::]")  # noqa: S104 - recognised, not bound
_MAX_PORT = 65_535
_ELSE = "&else="


class Address(msgspec.Struct, frozen=True):
    """Where a hub listens.

    Attributes:
        host: name or number; IPv6 in brackets.
        port: 0 for any that is free.

    Example:
        >>> read_address("127.0.0.1:4000").endpoint
        'tcp://127.0.0.1:4000'
    """

    host: str
    port: int

    @property
    def endpoint(self) -> str:
        """As ZeroMQ wants it."""
        return f"tcp://{self.host}:{self.port or '*'}"

    @property
    def reachable(self) -> Address:
        """Under which others find it: a hub that listens everywhere is found under its host's name."""
        return Address(os.uname().nodename, self.port) if self.host in _ANY_HOST else self


def read_address(text: str) -> Address:
    """An address from ``HOST:PORT`` or ``HOST``.

    Raises:
        FabricError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, "0"
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = inside and not set(inside) & set("/?#@[] ") and (inside == host) == (":" not in inside)
    if not good or not (port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise FabricError(f"{text!r} is no address.", hint="Use HOST:PORT, as in 127.0.0.1:0.")
    return Address(host, int(port))


def relay_url(address: Address, key: Path) -> str:
    """The URL under which clients reach a hub: it names the file of their keys and holds no secret."""
    return f"relay:{address.host}:{address.port}?key={quote(str(key))}"


def with_detour(url: str, detour: str) -> str:
    """A relay's URL that also names the fabric to be used while the hub is away, if there is one.

    Example:
        >>> with_detour("relay:node1:4000?key=client.key", "file:/run/events")
        'relay:node1:4000?key=client.key&else=file:/run/events'
    """
    return f"{url}{_ELSE}{detour}" if detour else url


def without_detour(url: str) -> tuple[str, str]:
    """A relay's URL, and what stands behind its ``else=``, as it is; empty if there is none."""
    alone, _, detour = url.partition(_ELSE)
    return alone, detour


def read_url(url: str) -> tuple[Address, Path]:
    """Address and file of keys of a relay's URL.

    Raises:
        FabricError: one of them is missing.

    Example:
        >>> read_url("relay:node1:4000?key=/home/me/keys/client.key")
        (Address(host='node1', port=4000), PosixPath('/home/me/keys/client.key'))
    """
    where, _, options = url.partition(":")[2].partition("?")
    hint = "Use relay:HOST:PORT?key=FILE, as the hub prints it."
    try:
        address = read_address(where.removeprefix("//"))
        values = parse_qs(options, keep_blank_values=True, strict_parsing=bool(options))
    except (FabricError, ValueError) as error:
        raise FabricError(f"{url!r} names no relay: {error}", url=url, hint=hint) from error
    if not address.port or set(values) != {"key"} or not values["key"][0]:
        raise FabricError(f"{url!r} needs a port and the file of the run's keys.", url=url, hint=hint)
    return address, Path(values["key"][0]).expanduser().absolute()
