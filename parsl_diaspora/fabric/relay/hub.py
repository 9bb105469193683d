"""The hub of a site: a thread that takes batches from clients and carries orders to them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.protocols import Fabric
from parsl_diaspora.fabric.relay.address import Address, read_address, relay_url
from parsl_diaspora.fabric.relay.desk import Desk
from parsl_diaspora.fabric.relay.gate import DOMAIN, Gate
from parsl_diaspora.fabric.relay.keys import CLIENT_FILE, HubKeys, load_hub_keys
from parsl_diaspora.fabric.relay.orders import LIFETIME, Board, Ticket
from parsl_diaspora.fabric.relay.peers import To
from parsl_diaspora.fabric.relay.store import open_store
from parsl_diaspora.fabric.relay.wake import Wake
from parsl_diaspora.fabric.relay.wire import MAX_IN_FLIGHT, MAX_PART

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1:0"
HEARTBEAT, HEARTBEAT_LOST = 2000, 10_000  # milliseconds
TICK = 0.5
_LINGER = 500  # milliseconds for the last acknowledgements
_JOIN = 10.0
_AFTER_FAILURE = 0.1


class Hub:
    """Listens from its construction on, until it is closed.

    Args:
        to: fabric that the events go to, or its URL; a fabric that is given stays open.
        keys: directory of the run's keys, as `make_keys` makes them.
        listen: ``HOST:PORT``, or several; port 0 is any that is free.

    Attributes:
        url: URL of the fabric that clients open.
        urls: one for each address that it listens on, in their order.

    Raises:
        FabricError: there are no keys, or the address is none.
        FabricUnavailable: the target cannot be opened, or the address cannot be had.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.events import RunEnded
        >>> from parsl_diaspora.fabric import open_fabric
        >>> from parsl_diaspora.fabric.relay import make_keys
        >>> keys = make_keys(tempfile.mkdtemp()).parent
        >>> log = open_fabric("file:" + tempfile.mkdtemp())
        >>> with Hub(log.url, keys) as hub:
        ...     publisher = open_fabric(hub.url).publisher("worker")
        ...     publisher.publish(RunEnded(done=3))
        ...     publisher.close().safe
        1
        >>> [event.done for event in log.consumer("you").poll()]
        [3]
    """

    def __init__(
        self,
        to: str | Fabric,
        keys: str | os.PathLike[str],
        *,
        listen: str | Sequence[str] = LOOPBACK,
    ) -> None:
        addresses = [read_address(text) for text in ([listen] if isinstance(listen, str) else listen)]
        secret = load_hub_keys(keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gate = Gate(self._context, secret)
        self._wake = Wake()
        self._board = Board()
        try:
            self._socket = _router(self._context, secret)
            self._endpoints = [_bind(self._socket, address) for address in addresses]
            self._desk = Desk(self._socket, open_store(to), self._board)
        except BaseException:
            self._let_go()
            raise
        key = Path(keys).absolute() / CLIENT_FILE
        ports = [int(endpoint.rpartition(":")[2]) for endpoint in self._endpoints]
        found = [
            Address(address.host, port).reachable for address, port in zip(addresses, ports, strict=True)
        ]
        self.urls = tuple(relay_url(address, key) for address in found)
        self.url = self.urls[0]
        self._ending = threading.Event()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="diaspora-relay-hub", daemon=True)
        self._thread.start()

    def order(self, to: To, message: Mapping[str, Any], *, lifetime: float = LIFETIME) -> Ticket:
        """Give an order; it is kept until whoever it is for has taken it.

        It goes to all that are meant and connected, else to the first that connects. Each takes it once, as
        far as it remembers; one that dies in between may take it again in its next life.

        Args:
            to: the source of one peer, or what its place must hold, as ``{"node": "n17"}``.
            message: plain data, up to 64 kB.
            lifetime: seconds after which it is forgotten.

        Returns:
            A ticket that tells who has taken it.

        Raises:
            FabricError: too many orders wait, or the message cannot be sent.
        """
        ticket = self._board.add(to, message, lifetime)
        self._wake.ring()
        return ticket

    def waiting_orders(self) -> int:
        """Orders that someone is still to take."""
        return len(self._board)

    @property
    def is_serving(self) -> bool:
        """Whether its thread lives."""
        return self._thread.is_alive()

    def close(self, timeout: float = _JOIN) -> None:
        """Take in what has arrived, acknowledge it, and stop. Calling it again does nothing."""
        if os.getpid() != self._pid:
            return  # a forked child has no part in it
        self._ending.set()
        self._wake.ring()
        self._thread.join(timeout)

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:
            logger.exception("The relay's hub ended; its clients keep their events.")
        finally:
            self._desk.close()
            self._let_go()

    def _serve(self) -> None:
        poller = zmq.Poller()
        for waited in (self._gate.socket, self._socket, self._wake.fd):
            poller.register(waited, zmq.POLLIN)
        failures = 0
        while not self._ending.is_set():
            self._wake.sleeps(asleep=True)
            pause = 0.0 if self._ending.is_set() or self._board.has_new else TICK
            ready = dict(poller.poll(int(pause * 1000)))
            self._wake.sleeps(asleep=False)
            try:
                self._serve_once(ready)
            except (
                Exception
            ):  # what was not acknowledged comes again, and one client must not stop the others
                failures += 1
                if failures == 1:
                    logger.exception("The relay's hub met a fault; it goes on, and does not say it again.")
                self._ending.wait(_AFTER_FAILURE)
        for endpoint in self._endpoints:
            self._socket.unbind(endpoint)
        while self._desk.take():
            pass

    def _serve_once(self, ready: dict[Any, int]) -> None:
        if self._wake.fd in ready:
            self._wake.clear()
        if self._gate.socket in ready:
            self._gate.answer()
        if self._socket in ready:
            self._desk.take()
        self._desk.give_orders(time.monotonic())

    def _let_go(self) -> None:
        self._wake.close()
        self._gate.close()
        self._context.destroy(linger=_LINGER)


def _router(context: zmq.Context[zmq.Socket[bytes]], keys: HubKeys) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.ROUTER)
    socket.curve_server = True
    socket.curve_secretkey = keys.secret.encode()
    socket.curve_publickey = keys.public.encode()
    socket.zap_domain = DOMAIN
    socket.router_mandatory = True  # so that a send to a peer that is gone or slow tells so
    socket.sndhwm = socket.rcvhwm = 2 * MAX_IN_FLIGHT  # messages, a peer
    socket.maxmsgsize = MAX_PART
    socket.linger = _LINGER
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT, HEARTBEAT_LOST
    return socket


def _bind(socket: zmq.Socket[bytes], address: Address) -> str:
    """The endpoint that the socket listens on from now on."""
    socket.ipv6 = "[" in address.endpoint
    try:
        socket.bind(address.endpoint)
    except zmq.ZMQError as error:
        where = f"{address.host}:{address.port}"
        message = f"The relay cannot listen on {where}: {error}."
        raise FabricUnavailable(message, hint="Port 0 takes any that is free, as in 127.0.0.1:0.") from error
    name = socket.getsockopt(zmq.LAST_ENDPOINT)
    return name.rstrip(b"\0").decode() if isinstance(name, bytes) else str(name)
