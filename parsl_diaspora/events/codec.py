"""Events to bytes and back: msgpack in the embedded log, JSON elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.envelope import ENVELOPE_FIELDS, Event, Unknown
from parsl_diaspora.events.kinds import KINDS

Format = Literal["msgpack", "json"]

#: (kind, old version) to a function that turns the old event's fields into the next version's.
UPGRADES: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}

#: The union of all kinds; built at run time, so that a new kind is written in one place only.
AnyKind: Any = Union[tuple(KINDS.values())]  # noqa: UP007

_pack = msgspec.msgpack.Encoder().encode
_unpack_one = msgspec.msgpack.Decoder(AnyKind).decode
_unpack_many = msgspec.msgpack.Decoder(list[AnyKind]).decode
_unpack_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder(AnyKind).decode


def encode(event: Event, form: Format = "msgpack") -> bytes:
    """One event as bytes."""
    return _pack(event) if form == "msgpack" else _json(event)


def decode(data: bytes | memoryview, form: Format = "msgpack") -> Event:
    """One event from bytes; a kind or version from a newer release becomes `Unknown`, never an error.

    Raises:
        EventError: the bytes are no event.
    """
    try:
        event: Event = _unpack_one(data) if form == "msgpack" else _from_json(data)
    except msgspec.MsgspecError:
        return _decode_other(data, form)
    return event if event.version == type(event).VERSION else _decode_other(data, form)


def join(encoded: Sequence[bytes]) -> bytes:
    """Bytes of several events as one message, without encoding them again; `decode_many` takes it back."""
    return b"\xdd" + struct.pack(">I", len(encoded)) + b"".join(encoded)


def decode_many(data: bytes | memoryview) -> list[Event]:
    """The events of one joined message.

    Raises:
        EventError: the bytes are no joined message.
    """
    try:
        events: list[Event] = _unpack_many(data)
    except msgspec.MsgspecError:
        return [decode(bytes(raw)) for raw in _split(data)]
    if all(event.version == type(event).VERSION for event in events):
        return events
    return [decode(bytes(raw)) for raw in _split(data)]


def _split(data: bytes | memoryview) -> list[msgspec.Raw]:
    try:
        return _unpack_raw(data)
    except msgspec.MsgspecError as error:
        raise EventError(f"These {len(data)} bytes are no list of events: {error}.") from error


def _decode_other(data: bytes | memoryview, form: Format) -> Event:
    fields = _decode_fields(data, form)
    kind = str(fields.get("kind", ""))
    while upgrade := UPGRADES.get((kind, int(fields.get("version", 1)))):
        fields = upgrade(fields)
    known = KINDS.get(kind)
    if known is not None and fields.get("version", 1) == known.VERSION:
        try:
            return msgspec.convert(fields, AnyKind)  # type: ignore[no-any-return]
        except msgspec.ValidationError:
            pass  # a field that does not fit: keep the event, as a kind that is not understood
    return _unknown(kind, fields)


def _decode_fields(data: bytes | memoryview, form: Format) -> dict[str, Any]:
    try:
        fields = (msgspec.msgpack if form == "msgpack" else msgspec.json).decode(data)
    except msgspec.MsgspecError as error:
        raise EventError(f"These {len(data)} bytes are no event: {error}.") from error
    if not isinstance(fields, dict) or "kind" not in fields:
        raise EventError("The message has no field 'kind', so it is no event of ours.")
    return fields


def _unknown(kind: str, fields: dict[str, Any]) -> Unknown:
    known = {name: fields[name] for name in ENVELOPE_FIELDS if name in fields}
    try:
        event = msgspec.convert(known, Unknown)
    except msgspec.ValidationError:
        event = Unknown()
    event.said_kind, event.data = kind, fields
    return event
