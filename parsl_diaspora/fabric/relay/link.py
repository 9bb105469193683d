"""A client's encrypted connection to the hub, made again as often as it breaks. Belongs to one thread."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum
from math import ceil

import zmq

from parsl_diaspora.fabric.relay.keys import ClientKeys
from parsl_diaspora.fabric.relay.wire import MAX_IN_FLIGHT, MAX_PART

RECONNECT_FIRST, RECONNECT_LONGEST = 50, 500  # milliseconds
HANDSHAKE_LONGEST = 5000
HEARTBEAT, HEARTBEAT_LOST = 2000, 10_000
_CHANGE = struct.Struct("=Hi")
_REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
_WATCHED = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | _REFUSED


class Change(Enum):
    """What happened to the connection."""

    UP = "up"
    DOWN = "down"
    REFUSED = "refused"


class Link:
    """One DEALER socket and its monitor.

    Args:
        address: as ``tcp://host:port``.
        keys: the client's.
        wake: descriptor that ends `wait` when it becomes readable.

    Attributes:
        is_up: whether there is a connection, as far as was told.
    """

    def __init__(self, address: str, keys: ClientKeys, wake: int) -> None:
        self._address = address
        self._keys = keys
        self._wake = wake
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._open()

    def _open(self) -> None:
        self.is_up = self._refused = self._watches_room = self._has_news = self._has_mail = False
        self._socket = _dealer(self._context, self._address, self._keys)
        self._monitor = self._socket.get_monitor_socket(_WATCHED)
        self._poller = zmq.Poller()
        for waited in (self._socket, self._monitor, self._wake):
            self._poller.register(waited, zmq.POLLIN)
        self._socket.connect(self._address)

    def _close(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for a message, a change, or the wake; whether it was the wake.

        After a refused `send` it also waits for room: a socket that has just been connected may say no for a
        millisecond, as ZeroMQ looks for news of its connections only that often.
        """
        if self._refused != self._watches_room:
            self._poller.modify(self._socket, zmq.POLLIN | (zmq.POLLOUT if self._refused else 0))
            self._watches_room = self._refused
        self._refused = False
        ready = dict(self._poller.poll(ceil(max(0.0, timeout) * 1000)))
        self._has_news, self._has_mail = self._monitor in ready, self._socket in ready
        return self._wake in ready

    def send(self, *parts: bytes) -> bool:
        """Hand a message to the socket if it takes it now; whether it did."""
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK)
        except zmq.Again:
            self._refused = True
            return False
        return True

    def messages(self) -> Iterator[bytes]:
        """The first parts of all messages that are there, if the last `wait` has met any."""
        while self._has_mail:
            try:
                yield self._socket.recv_multipart(zmq.NOBLOCK)[0]
            except zmq.Again:
                return
            self._has_mail = bool(int(self._socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)

    def changes(self) -> Iterator[Change]:
        """What happened to the connection, as far as the last `wait` has met it."""
        while self._has_news and self._monitor.poll(0):
            what, _ = _CHANGE.unpack(self._monitor.recv_multipart()[0])
            self.is_up = what == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if what & _REFUSED:
                yield Change.REFUSED
            else:
                yield Change.UP if self.is_up else Change.DOWN

    def reset(self) -> None:
        """Give the connection up, with all that it holds, and begin another."""
        self._close()
        self._open()

    def close(self) -> None:
        """Let go of everything; what the socket still holds is dropped."""
        self._close()
        self._context.term()


def _dealer(context: zmq.Context[zmq.Socket[bytes]], address: str, keys: ClientKeys) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    socket.ipv6 = "[" in address
    socket.curve_serverkey = keys.hub.encode()
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    socket.immediate = True  # nothing waits in a socket without a connection: the window has it all
    socket.linger = 0
    socket.sndhwm = 2 * MAX_IN_FLIGHT
    socket.maxmsgsize = MAX_PART
    socket.reconnect_ivl, socket.reconnect_ivl_max = RECONNECT_FIRST, RECONNECT_LONGEST
    socket.connect_timeout = socket.handshake_ivl = HANDSHAKE_LONGEST  # a host that is gone answers nothing
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT, HEARTBEAT_LOST
    return socket
