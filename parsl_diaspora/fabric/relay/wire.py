"""What client and hub say to each other.

A message is one part that says what it is, in msgpack; a batch has a second one, a ready frame of the
embedded log, which the hub stores as it came. The frame's ``first`` is the number of its first event within
the publisher's boot; 0 marks events that the publisher forwards for others, which never share a frame with
its own. So the log alone tells how far each boot has come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Union

import msgspec

from parsl_diaspora.fabric.file.frames import HEADER, MAX_FRAME, Frame, Scan, scan_frames

FORWARDED = 0  # a frame's `first` when its events are those of other sources
MAX_PART = MAX_FRAME + 1024  # bytes; a longer part ends the connection
MAX_ORDER = 64 * 1024
MAX_IN_FLIGHT = 32  # batches without an acknowledgement, a publisher


class Batch(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Client to hub: the next part is a frame.

    Attributes:
        boot: of the publisher.
        number: of the batch within the boot, from 1 without gaps.
        base: number of the oldest batch that is not acknowledged.
    """

    boot: str
    number: int
    base: int


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Client to hub, at each new connection and now and then: here I am.

    Attributes:
        boot: of the publisher.
        source: who speaks.
        place: where, as far as it is known; orders are addressed by it.
        takes_orders: whether it does.
    """

    boot: str
    source: str
    place: dict[str, Any]
    takes_orders: bool


class Done(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Client to hub: an order was handed to whoever takes them.

    Attributes:
        order: its id.
        problem: what the taker raised, or an empty text.
    """

    order: str
    problem: str = ""


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Hub to client: all batches up to this one are safe.

    Attributes:
        boot: of the publisher.
        number: of the last of them.
    """

    boot: str
    number: int


class Order(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Hub to client: do something.

    Attributes:
        order: its id; it may come more than once.
        message: what to do.
    """

    order: str
    message: dict[str, Any]


ToHub = Union[Batch, Hello, Done]  # noqa: UP007 - evaluated at run time on Python 3.10
ToClient = Union[Ack, Order]  # noqa: UP007

pack = msgspec.msgpack.Encoder().encode
unpack_at_hub = msgspec.msgpack.Decoder(ToHub).decode
unpack_at_client = msgspec.msgpack.Decoder(ToClient).decode


def whole_frame(part: bytes) -> Frame | None:
    """The frame that a part is, or None if it is anything else: the log must never hold damage."""
    scan = Scan(0)
    frames: Sequence[Frame] = list(scan_frames(part, 0, scan)) if len(part) >= HEADER.size else []
    good = len(frames) == 1 and not scan.skipped and frames[0].end == len(part)
    return frames[0] if good else None
