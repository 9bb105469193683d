"""What the program and the process that holds the binding say to each other, over a pair of sockets."""

from __future__ import annotations

import socket
import struct
from io import IOBase
from typing import Union

import msgspec

from parsl_diaspora.fabric.diaspora_stream.backends import Target, TopicSpec

_SIZE = struct.Struct("<I")


class _Word(msgspec.Struct, array_like=True, gc=False):
    """One message."""


# --- from the program ---


class Hello(_Word, tag="hello"):
    """The first message."""

    target: Target


class Join(_Word, tag="join"):
    """A publisher or consumer of this number is about to use a topic."""

    channel: int
    topic: TopicSpec


class Publish(_Word, tag="publish"):
    """Records of one publisher, numbered from ``first`` on."""

    channel: int
    first: int
    records: list[bytes]


class Hush(_Word, tag="hush"):
    """A publisher has ended; ``mark`` says so in the stream."""

    channel: int
    mark: bytes


class Follow(_Word, tag="follow"):
    """A consumer begins at a position, or without one at ``start``."""

    channel: int
    name: str
    position: dict[str, int] | None
    start: float


class Credit(_Word, tag="credit"):
    """So many more items, of so many bytes, may be sent to a consumer."""

    channel: int
    items: int
    size: int


class Commit(_Word, tag="commit"):
    """A consumer has kept its position."""

    channel: int
    position: dict[str, int]


class Leave(_Word, tag="leave"):
    """A consumer has ended."""

    channel: int


class Quit(_Word, tag="quit"):
    """End as soon as all is confirmed.

    Attributes:
        seconds: that may still be spent on it.
    """

    seconds: float


# --- to the program ---


class Beat(_Word, tag="beat"):
    """The process lives; ``turns`` counts the rounds of its dispatcher."""

    turns: int


class Confirmed(_Word, tag="confirmed"):
    """The server has stored a publisher's records up to this number."""

    channel: int
    upto: int


class Refused(_Word, tag="refused"):
    """The server will never take this record."""

    channel: int
    number: int
    why: str


class Trouble(_Word, tag="trouble"):
    """Something fails, and will be tried again."""

    why: str


class Opened(_Word, tag="opened"):
    """A consumer is there, and will send what comes from this position on."""

    channel: int
    position: dict[str, int]


class Failed(_Word, tag="failed"):
    """A consumer cannot be opened."""

    channel: int
    why: str


class Item(_Word):
    """One record for a consumer.

    Attributes:
        partition: in which it is.
        number: of the record within the partition.
        id: of the event; of an end, the boot that ended.
        text: the event as JSON; None for a mark and for what is skipped.
        mark: if it is one.
        size: bytes of the text.
    """

    partition: int
    number: int
    id: str
    text: bytes | None
    mark: str
    size: int = 0


class Arrived(_Word, tag="arrived"):
    """Records for a consumer, in order."""

    channel: int
    items: list[Item]


class Behind(_Word, tag="behind"):
    """So many records wait at the server because the consumer is slow."""

    channel: int
    count: int


ToSide = Union[Hello, Join, Publish, Hush, Follow, Credit, Commit, Leave, Quit]  # noqa: UP007 - for Python 3.10
ToProgram = Union[Beat, Confirmed, Refused, Trouble, Opened, Failed, Arrived, Behind]  # noqa: UP007

_encode = msgspec.msgpack.Encoder().encode
at_side = msgspec.msgpack.Decoder(ToSide)
at_program = msgspec.msgpack.Decoder(ToProgram)


def send(to: socket.socket, message: _Word) -> None:
    """Send one message.

    Raises:
        OSError: the other side is gone, or has taken nothing for the socket's timeout.
    """
    body = _encode(message)
    to.sendall(_SIZE.pack(len(body)) + body)


def receive(stream: IOBase) -> bytes | None:
    """The next message, still encoded; None when the other side has gone."""
    try:
        head = stream.read(_SIZE.size)
        if len(head) < _SIZE.size:
            return None
        (size,) = _SIZE.unpack(head)
        body = stream.read(size)
    except (OSError, ValueError):  # ValueError: closed meanwhile
        return None
    return body if len(body) == size else None
