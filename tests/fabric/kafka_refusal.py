"""A way to a broker on which the first batch of a publisher is refused, as by a broker that leads no more."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

_PRODUCE, _NOT_LEADER = 0, 6


class RefusesFirstBatch:
    """Passes everything on, but the first batch; that is refused when the second one was passed on.

    Needs topics of one partition, and batches that go to one of them.

    Args:
        port: where the broker listens.
        patience: seconds after which the first batch is refused, though no second one has come.
    """

    def __init__(self, port: int, patience: float = 60.0) -> None:
        self.arrived = threading.Event()  # the first batch
        self.refused = False
        self.overtaken = False  # the second batch came before the first had its answer
        self._patience = patience
        self._lock = threading.Lock()
        self._there = port
        self._first: bytes | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        self._run(self._accept)

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _run(self, work, *args) -> None:
        threading.Thread(target=work, args=args, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(("127.0.0.1", self._there))
                self._open += [here, there]
                self._run(self._requests, here, there)
                self._run(self._answers, there, here)

    def _requests(self, here: socket.socket, there: socket.socket) -> None:
        for frame in _frames(here):
            if not _is_batch(frame) or self.refused:
                there.sendall(_framed(frame))
            elif self._first is None:
                self._first = frame
                self.arrived.set()
                self._run(self._refuse_late, here)
            else:
                self.overtaken = self._refuse(here) or self.overtaken
                there.sendall(_framed(frame))

    def _refuse_late(self, here: socket.socket) -> None:
        time.sleep(self._patience)
        self._refuse(here)

    def _refuse(self, here: socket.socket) -> bool:
        """Whether it was refused only now."""
        assert self._first is not None
        with self._lock, suppress(OSError):
            if not self.refused:
                self.refused = True
                here.sendall(_framed(_refusal(self._first)))
                return True
        return False

    def _answers(self, there: socket.socket, here: socket.socket) -> None:
        """Where the broker is, is here."""
        real, ours = (b"127.0.0.1" + struct.pack(">i", port) for port in (self._there, self.port))
        for frame in _frames(there):
            here.sendall(_framed(frame.replace(real, ours)))


def _frames(link: socket.socket):
    with suppress(OSError), link.makefile("rb") as stream:
        while len(size := stream.read(4)) == 4:
            yield stream.read(int.from_bytes(size, "big"))


def _framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


def _is_batch(frame: bytes) -> bool:
    return struct.unpack_from(">h", frame)[0] == _PRODUCE


def _refusal(frame: bytes) -> bytes:
    """The answer to a produce request of version 9 to 13 for one partition."""
    _, version, number, name = struct.unpack_from(">hhih", frame)
    assert 9 <= version <= 13, version
    at = 10 + max(0, name) + 1  # behind the header and its empty tags
    assert frame[at] == 0  # no transaction
    at += 1 + 2 + 4
    assert frame[at] == 2  # one topic
    at += 1
    topic = frame[at : at + (16 if version == 13 else frame[at])]
    at += len(topic)
    assert frame[at] == 2  # one partition
    index = frame[at + 1 : at + 5]
    partition = index + struct.pack(">hqqq", _NOT_LEADER, -1, -1, -1) + b"\x01\x00\x00"
    topics = b"\x02" + topic + b"\x02" + partition + b"\x00"
    return struct.pack(">i", number) + b"\x00" + topics + bytes(4) + b"\x00"
