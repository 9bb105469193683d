"""Calls to the server, and how they fail: like the real ones, which stop the interpreter while they block."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import time

import msgspec

from diaspora_stream.common import Exception

_SIZE = struct.Struct("<I")
_POLL_IN = 1
_holding_the_interpreter = ctypes.PyDLL(None)  # unlike CDLL it keeps the interpreter's lock


class _PollFd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def send(to, message):
    body = msgspec.msgpack.encode(message)
    to.sendall(_SIZE.pack(len(body)) + body)


def receive(source):
    head = _exactly(source, _SIZE.size)
    body = _exactly(source, *_SIZE.unpack(head)) if head else None
    return msgspec.msgpack.decode(body) if body else None


def _exactly(source, size):
    parts = bytearray()
    while len(parts) < size:
        try:
            part = source.recv(size - len(parts))
        except OSError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


class Dead(Exception):
    """The server is gone, and this connection with it, for good."""


class Connection:
    """One connection to the server. It is never made again: old handles stay dead."""

    def __init__(self, address: str, transport: str) -> None:
        host, _, port = address.rpartition("/")[2].partition(":")
        self._transport = transport
        self._socket = None
        try:
            self._socket = socket.create_connection((host, int(port)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            pass

    def call(self, *, freezing: bool, **request):
        """Call the server; ``freezing`` keeps the interpreter's lock until it has answered."""
        answer = self._ask(request, freezing) if self._socket else None
        if answer is None:
            self._socket = None
            self._retry(freezing)
            raise Dead("Request timed out")
        if isinstance(answer, dict) and "error" in answer:
            raise Exception(answer["error"])
        return answer

    def _ask(self, request, freezing):
        try:
            send(self._socket, request)
        except OSError:
            return None
        if freezing:
            waiting = _PollFd(self._socket.fileno(), _POLL_IN, 0)
            _holding_the_interpreter.poll(ctypes.byref(waiting), 1, -1)  # a frozen server: for ever
        return receive(self._socket)

    def _retry(self, freezing) -> None:
        """The RPC layer tries for so long, in vain; by shared memory it never says that it was in vain."""
        seconds = int(os.environ.get("NA_OFI_OP_RETRY_TIMEOUT", "120000")) / 1000
        if self._transport == "na+sm":
            seconds = 1e6
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if freezing:
                _holding_the_interpreter.usleep(20_000)
            else:
                time.sleep(0.02)
