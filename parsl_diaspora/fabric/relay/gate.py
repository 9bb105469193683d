"""Who may enter: what ZeroMQ asks (ZAP, rfc.zeromq.org/spec/27) before it takes a connection."""

from __future__ import annotations

import logging

import zmq
from zmq.utils import z85

from parsl_diaspora.fabric.relay.keys import HubKeys

logger = logging.getLogger(__name__)

DOMAIN = b"relay"
_VERSION = b"1.0"


class Gate:
    """Lets in whoever proves to hold an allowed key; bind it before the hub's socket.

    Attributes:
        socket: to be polled.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], keys: HubKeys) -> None:
        self._allowed = keys.allowed
        self._refusal_said = False
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind("inproc://zeromq.zap.01")

    def answer(self) -> None:
        """Answer the question that waits."""
        version, request, *asked = self.socket.recv_multipart()
        good = version == _VERSION and self._is_allowed(asked)
        if not good:
            self._say_refused(asked)
        status, text = (b"200", b"OK") if good else (b"400", b"not a key of this run")
        self.socket.send_multipart([_VERSION, request, status, text, b"", b""])

    def _is_allowed(self, asked: list[bytes]) -> bool:
        domain, _, _, mechanism, *credentials = asked
        if (domain, mechanism) != (DOMAIN, b"CURVE") or len(credentials) != 1:
            return False
        return z85.encode(credentials[0]).decode() in self._allowed

    def _say_refused(self, asked: list[bytes]) -> None:
        if not self._refusal_said:
            self._refusal_said = True
            address = asked[1].decode(errors="replace") if len(asked) > 1 else "somewhere"
            logger.warning(
                "The relay refused a connection from %s: its key is not one of this run's.", address
            )

    def close(self) -> None:
        """Stop answering."""
        self.socket.close()
