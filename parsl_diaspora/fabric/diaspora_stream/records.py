"""Events as records of a stream: metadata, which is a CloudEvent, and data, which most events leave empty.

What is no event, but belongs to the stream, is a mark: that its writer lives, and that its writer has ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, decode, encode
from parsl_diaspora.events.cloudevents import TYPE_PREFIX, encode_cloudevent, encode_mark, encode_reference
from parsl_diaspora.fabric.diaspora_stream.frame import join_frame, split_frame
from parsl_diaspora.fabric.stamp import Stamp

MAX_EVENT = 512 * 1024  # JSON text; the embedded log takes 256 KiB of the denser msgpack
IN_DATA = "buffer:0"
HEARTBEAT = f"{TYPE_PREFIX}stream.heartbeat.v1"
ENDED = f"{TYPE_PREFIX}stream.ended.v1"
_BRACE = ord("{")


class Read(NamedTuple):
    """One record, understood.

    Attributes:
        id: of the event, for finding duplicates; empty if it has none. Of an end, the boot that ended.
        text: the event as JSON; None for a mark and for what is no event of ours.
        mark: a heartbeat or an end.
        time: that the event says, seconds since the epoch.
    """

    id: str = ""
    text: bytes | None = None
    mark: str = ""
    time: float = 0.0


FOREIGN = Read()


def encode_record(event: Event, inline: int) -> bytes:
    """One event as a record in one piece: its metadata, or a zero byte and a frame of metadata and data.

    Args:
        event: with its stamp.
        inline: bytes from which on the event goes into the data, so that the metadata stay small.

    Raises:
        EventError: the event cannot be encoded, or is too large.
    """
    text = encode(event, "json")
    if len(text) > MAX_EVENT:
        raise EventError(f"An event of kind {event.kind!r} has {len(text)} bytes, more than {MAX_EVENT}.")
    if len(text) + 1000 <= inline:
        return encode_cloudevent(event, data=text)
    return b"\0" + join_frame(encode_reference(event, IN_DATA), text)


def split_record(record: bytes) -> tuple[bytes, bytes]:
    """Metadata and data of one record."""
    if record[0] == _BRACE:
        return record, b""
    framed = split_frame(memoryview(record)[1:])
    if framed is None:
        raise EventError(f"These {len(record)} bytes are no record.")
    return framed.metadata, framed.data


def mark(stamp: Stamp, kind: str) -> bytes:
    """The metadata of a mark by a writer."""
    return encode_mark(stamp.sign(Event()), f"{stamp.boot}-{'end' if kind == ENDED else 'beat'}", kind)


def read_record(metadata: object, data: bytes) -> Read:
    """What a record says; `FOREIGN` if it is of somebody else.

    Args:
        metadata: as the binding gives it, a mapping.
        data: all that goes with it. Where the metadata say nothing it may be a frame of the octopus driver,
            which holds both.
    """
    if not isinstance(metadata, Mapping):
        return FOREIGN
    if metadata.get("specversion") == "1.0":
        return _read_cloudevent(metadata, data)
    if isinstance(metadata.get("kind"), str):
        return _read_event(_json(metadata))
    framed = split_frame(data) if data else None
    if framed is None or not framed.metadata:
        return FOREIGN
    return _read_framed(framed.metadata, framed.data)


def _read_framed(text: bytes, data: bytes) -> Read:
    try:
        metadata = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return FOREIGN
    return read_record(metadata, data) if isinstance(metadata, dict) and metadata else FOREIGN


def _read_cloudevent(metadata: Mapping[str, Any], data: bytes) -> Read:
    kind = str(metadata.get("type"))
    if kind in (HEARTBEAT, ENDED):
        return Read(id=str(metadata.get("id")).rpartition("-")[0], mark=kind)
    if not kind.startswith(TYPE_PREFIX):
        return FOREIGN
    return _read_event(data if metadata.get("dataref") == IN_DATA else _json(metadata.get("data")))


def _read_event(text: bytes) -> Read:
    try:
        event = decode(text, "json")
    except EventError:
        return FOREIGN
    return Read(id=event.id if event.seq else "", text=text, time=event.time)


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        return b""


def source_of(metadata: bytes) -> str:
    """Who speaks, for choosing a partition."""
    try:
        return _source.decode(metadata).source
    except (msgspec.MsgspecError, ValueError):
        return ""


class _Speaker(msgspec.Struct):
    source: str = ""


_source = msgspec.json.Decoder(_Speaker)
