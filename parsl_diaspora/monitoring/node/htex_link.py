"""Signs of life through the interchange's own port: where a pool can work, this gets through.

The supervisor registers with the interchange as a manager that takes no tasks, and sends a heartbeat each
second. The interchange keeps what a registration says beyond its own fields, and answers each heartbeat: so
both sides know quickly that the other is there, and no port has to be opened for it.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import zmq
from zmq.auth.certs import load_certificate

#: Ids of such managers begin so, and this is the block that they say they are of.
PREFIX = "node-"
BLOCK = "diaspora-node"

UNHEARD = 3.0  # beats without an answer, after which it registers anew
_LINGER = 300  # milliseconds
_HEARTBEAT = pickle.dumps({"type": "heartbeat"})
_PROBE = pickle.dumps({"type": "connection_probe"})


class HtexLink:
    """A manager in name only. Not for several threads.

    Args:
        addresses: of the interchange, host names or addresses.
        port: of the interchange for managers.
        keys: directory with Parsl's certificates; None for a run without encryption.
        uid: of the first manager that is supervised.
        facts: what the registration says beyond the rest, among it ``parsl_v`` and ``python_v``.
        beat: seconds between two heartbeats.
        now: monotonic seconds.

    Attributes:
        url: of the interchange, once it has answered.
        said: further fields of the registration.
        heard: when it answered last; None if it never did.
    """

    def __init__(
        self,
        addresses: list[str],
        port: int,
        keys: Path | None,
        uid: str,
        facts: Mapping[str, Any],
        *,
        beat: float = 1.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = ""
        self.said: dict[str, Any] = {}
        self.heard: float | None = None
        self._port = port
        self._beat = beat
        self._now = now
        self._uid = PREFIX + uid
        self._facts = {**_NOTHING_TO_GIVE, **facts, "uid": self._uid}
        self._keys = _read_keys(keys) if keys is not None else {}
        self._context = zmq.Context()
        self._context.linger = _LINGER
        self._socket: zmq.Socket[bytes] | None = None
        self._probes = {url: self._connect(url) for url in map(self._url, addresses)}
        for socket in self._probes.values():
            socket.send(_PROBE)
        self._next = now()
        self._registered = 0.0
        self._must_register = True

    def _url(self, address: str) -> str:
        bare = address.strip("[]")
        return f"tcp://[{bare}]:{self._port}" if ":" in bare else f"tcp://{bare}:{self._port}"

    def _connect(self, url: str, identity: bytes = b"") -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.IPV6, True)
        for option, value in self._keys.items():
            socket.setsockopt(option, value)
        if identity:
            socket.setsockopt(zmq.IDENTITY, identity)
        socket.setsockopt(zmq.SNDHWM, 100)  # of a dead interchange nothing piles up
        socket.connect(url)
        return socket

    def silent(self) -> float:
        """Seconds since the interchange last answered; 0 before it first did."""
        return self._now() - self.heard if self.heard is not None else 0.0

    def register_again(self) -> None:
        """Tell with the next step what has changed in `said`."""
        self._must_register = True

    def step(self) -> None:
        """Take in answers and send what is due. Never waits.

        Raises:
            zmq.ZMQError: the socket is of no use.
        """
        if self._socket is None and not self._find():
            return
        now = self._now()
        if self._drain() and self._must_register:
            self._next = now  # an answer arrived: this connection is the one to tell of
        if self._must_register:
            self._register(now)
        elif now >= self._next:
            unheard = self.silent() > UNHEARD * self._beat and now - self._registered > UNHEARD * self._beat
            if unheard:  # it may have forgotten us, as it does with managers that were silent
                self._register(now)
            else:
                self._send(_HEARTBEAT)
        if now >= self._next:
            self._next = now + self._beat

    def _find(self) -> bool:
        """Whether an address has answered; then that one is used."""
        answered = next((url for url, socket in self._probes.items() if socket.poll(0)), None)
        if answered is None:
            return False
        for socket in self._probes.values():
            socket.close(0)
        self._probes.clear()
        self.url = answered
        self._socket = self._connect(answered, self._uid.encode())
        self._send(_PROBE)
        return True

    def _drain(self) -> bool:
        heard = False
        while self._socket is not None:
            try:
                self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            heard = True
        if heard:
            self.heard = self._now()
        return heard

    def _register(self, now: float) -> None:
        if self.heard is None:
            return  # not before the connection stands, so that its own end can be told
        said = {**self._facts, **self.said, "local": self._local()}
        self._send(pickle.dumps({"type": "registration", **said}))
        self._registered, self._must_register = now, False

    def _send(self, message: bytes) -> None:
        if self._socket is not None:
            try:
                self._socket.send(message, zmq.NOBLOCK)
            except zmq.Again:
                return  # the queue is full: the interchange has taken nothing for long

    def _local(self) -> list[Any] | None:
        """Address and port of the own end of the connection; None if nobody knows."""
        try:
            found = _connections()
        except (psutil.Error, OSError):
            return None
        for one in found:
            if one.raddr and one.raddr[1] == self._port and one.status == psutil.CONN_ESTABLISHED:
                return [one.laddr[0].removeprefix("::ffff:"), one.laddr[1]]
        return None

    def close(self) -> None:
        """Take leave, so that the interchange forgets the record at once. Calling it again does nothing."""
        if self._context.closed:
            return
        if self._socket is not None and self.heard is not None:
            leave = {"type": "registration", **self._facts, **self.said, "draining": True}
            self._send(pickle.dumps(leave))  # a manager that drains and holds no task is let go
        for socket in (self._socket, *self._probes.values()):
            if socket is not None:
                socket.close()
        self._context.term()


#: A registration's fields for a manager that takes no tasks.
_NOTHING_TO_GIVE: dict[str, Any] = {
    "block_id": BLOCK,
    "worker_count": 0,
    "max_capacity": 0,
    "prefetch_capacity": 0,
    "packages": {},
    "drain_time": math.inf,
}


def host_facts() -> dict[str, Any]:
    """What a registration says of the host, as stock has it."""
    uname = os.uname()
    return {
        "start_time": time.time(),
        "os": uname.sysname,
        "hostname": uname.nodename,
        "dir": os.getcwd(),
        "cpu_count": psutil.cpu_count(logical=False) or 1,
        "total_memory": psutil.virtual_memory().total,
    }


def _read_keys(directory: Path) -> dict[int, bytes]:
    """Options of a socket that may speak with the interchange.

    Raises:
        OSError: the certificates cannot be read.
        ValueError: they hold no keys.
    """
    public, secret = load_certificate(directory / "client.key_secret")
    server, _ = load_certificate(directory / "server.key_secret")
    if secret is None:
        message = f"{directory} holds no secret key of a client."
        raise ValueError(message)
    return {zmq.CURVE_PUBLICKEY: public, zmq.CURVE_SECRETKEY: secret, zmq.CURVE_SERVERKEY: server}


def _connections() -> list[Any]:
    process = psutil.Process()
    look = getattr(process, "net_connections", None) or process.connections
    return list(look(kind="tcp"))
