"""The hub of one run: workers send their events to it, and orders go down to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.fabric.relay import Hub, Ticket, make_keys
from parsl_diaspora.fabric.relay.address import with_detour
from parsl_diaspora.fabric.relay.keys import CLIENT_FILE, HUB_FILE
from parsl_diaspora.fabric.relay.orders import LIFETIME
from parsl_diaspora.fabric.relay.peers import To
from parsl_diaspora.settings import RELAY_WORDS

KEYS = "relay"


class Pool(Protocol):
    """What has to be known of an executor to find the address under which its workers reach us."""

    label: str
    address: str | None
    loopback_address: str

    @property
    def is_local(self) -> bool:
        """Its workers run on this host."""
        ...


class RunRelay:
    """A hub in this process with keys of its own, from its construction until `close`.

    Args:
        to: where the events go; it stays open.
        directory: of the run; the keys lie in it until the end.
        listen: for each executor's label, ``HOST:PORT``.
        detour: URL of a fabric for workers while the hub is away.

    Raises:
        FabricError: the keys cannot be made, or an address cannot be had.
    """

    def __init__(self, to: Fabric, directory: Path, listen: Mapping[str, str], detour: str) -> None:
        addresses = sorted(set(listen.values()))
        self._keys = directory / KEYS
        make_keys(self._keys)
        try:
            self._hub = Hub(to, self._keys, listen=addresses)
        except BaseException:
            self._forget_keys()
            raise
        urls = {
            address: with_detour(url, detour) for address, url in zip(addresses, self._hub.urls, strict=True)
        }
        self._urls = {label: urls[address] for label, address in listen.items()}
        self._pid = os.getpid()

    @property
    def is_serving(self) -> bool:
        """Whether its thread lives."""
        return self._hub.is_serving

    def url_for(self, label: str) -> str | None:
        """The URL under which an executor's workers publish; None if they have to publish as without it."""
        return self._urls.get(label) if self._hub.is_serving else None

    def order(self, to: To, message: Mapping[str, Any], *, lifetime: float = LIFETIME) -> Ticket:
        """Give an order to workers that are connected, else to the first that connects.

        A worker connects with its first task. Its place has ``run``, ``executor``, ``block``, ``manager``,
        ``node``, ``worker`` (rank) and ``pid``.

        Args:
            to: the source of one worker, or what its place must hold, as ``{"node": "n17"}``.
            message: plain data, up to 64 kB; its ``kind`` says who takes it at the worker.
            lifetime: seconds after which it is forgotten.

        Returns:
            A ticket that tells who has taken it, and what each had to say against it.

        Raises:
            FabricError: too many orders wait, or the message cannot be sent.
        """
        return self._hub.order(to, message, lifetime=lifetime)

    def close(self) -> None:
        """Take in what has arrived, stop listening, and remove the keys. A forked child has no part in it."""
        if os.getpid() == self._pid:
            self._hub.close()
            self._forget_keys()

    def _forget_keys(self) -> None:
        for name in (HUB_FILE, CLIENT_FILE):
            with suppress(OSError):
                (self._keys / name).unlink(missing_ok=True)
        with suppress(OSError):
            self._keys.rmdir()


def open_relay(
    setting: str, to: Fabric, directory: Path, pools: Iterable[Pool], detour: str | None
) -> RunRelay | None:
    """The relay that a run's settings ask for, if any.

    It listens on the address that each executor gives its own interchange. Where an executor leaves that
    open, Parsl's interchange listens everywhere; the relay listens on loopback if the workers are on this
    host, and else not at all, unless the setting names a host.

    Args:
        setting: ``off``, ``on``, ``auto`` (if workers cannot reach ``to``), or ``HOST`` or ``HOST:PORT``.
        to: the run's fabric.
        directory: of the run.
        pools: executors with workers.
        detour: URL of a fabric for workers while the hub is away.

    Raises:
        FabricError: it is asked for and cannot be had.
    """
    pools = list(pools)
    if setting == "off" or not pools or (setting == "auto" and to.node_url):
        return None
    listen = addresses_for(setting, pools)
    missing = sorted({pool.label for pool in pools} - set(listen))
    if missing and setting != "auto":
        hint = "Give the executor an address, or name a host, as in relay='10.0.0.1'."
        raise FabricError(f"No address is known on which workers of {', '.join(missing)} find us.", hint=hint)
    return RunRelay(to, directory, listen, detour or "") if listen else None


def addresses_for(setting: str, pools: Iterable[Pool]) -> dict[str, str]:
    """Where to listen for the workers of each executor, by its label; without those where nobody knows.

    Example:
        >>> from types import SimpleNamespace
        >>> near = SimpleNamespace(label="near", address=None, loopback_address="::1", is_local=True)
        >>> far = SimpleNamespace(label="far", address=None, loopback_address="127.0.0.1", is_local=False)
        >>> addresses_for("on", [near, far]), addresses_for("10.0.0.1:4000", [far])
        ({'near': '[::1]:0'}, {'far': '10.0.0.1:4000'})
    """
    found = {}
    for pool in pools:
        if setting not in RELAY_WORDS:
            found[pool.label] = setting
        elif host := pool.address or (pool.loopback_address if pool.is_local else None):
            found[pool.label] = f"[{host}]:0" if ":" in host and not host.startswith("[") else f"{host}:0"
    return found
