"""Events to bytes and back: msgpack in the embedded log, JSON elsewhere."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.envelope import ENVELOPE_FIELDS, Event, Unknown
from parsl_diaspora.events.kinds import KINDS

logger = logging.getLogger(__name__)

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
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)  # ValueError: text that is no UTF-8
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_BLANK = Event()
_JOINED = struct.Struct(">BI")  # msgpack's head of a list


def encode(event: Event, form: Format = "msgpack") -> bytes:
    """One event as bytes. An event that was not understood goes on as it came, for others to read.

    Characters that no encoding has, as in the name of a file that is no UTF-8, are spelled out.

    Raises:
        EventError: a field holds something that has no place in an event.
    """
    if type(event) is Unknown:  # isinstance() takes a third as long as all the rest
        return _encode_plain(_said(event), form)
    event.version = event.VERSION  # explicit in bytes unless 1: absence means 1 for ever
    try:
        return _pack(event) if form == "msgpack" else _json(event)
    except _UNENCODABLE:
        return _encode_plain({**msgspec.structs.asdict(event), "kind": event.kind}, form)


def decode(data: bytes | memoryview, form: Format = "msgpack") -> Event:
    """One event from bytes; a kind or version from a newer release becomes `Unknown`, never an error.

    Raises:
        EventError: the bytes are no event.
    """
    try:
        event: Event = _unpack_one(data) if form == "msgpack" else _from_json(data)
    except _UNREADABLE:
        return _decode_other(data, form)
    return event if event.version == type(event).VERSION else _decode_other(data, form)


def join(encoded: Sequence[bytes]) -> bytes:
    """Bytes of several events as one message, without encoding them again; `decode_many` takes it back."""
    return _JOINED.pack(0xDD, len(encoded)) + b"".join(encoded)


def decode_many(data: bytes | memoryview) -> list[Event]:
    """The events of one joined message.

    Raises:
        EventError: the bytes are no joined message.
    """
    try:
        events: list[Event] = _unpack_many(data)
    except _UNREADABLE:
        return [decode(raw) for raw in split(data)]
    if all(event.version == type(event).VERSION for event in events):
        return events
    return [decode(raw) for raw in split(data)]


def split(data: bytes | memoryview) -> list[bytes]:
    """The encoded events of one joined message.

    Raises:
        EventError: the bytes are no joined message.
    """
    try:
        return [bytes(raw) for raw in _unpack_raw(data)]
    except _UNREADABLE as error:
        raise EventError(f"These {len(data)} bytes are no list of events: {error}.", hint=_LOOKS) from error


_LOOKS = "Events look as `parsl-diaspora events export` writes them."


def _said(event: Unknown) -> dict[str, Any]:
    """The fields as they came, under what a stamp may have changed since."""
    envelope = {name: getattr(event, name) for name in ENVELOPE_FIELDS}
    stamped = {name: value for name, value in envelope.items() if value != getattr(_BLANK, name)}
    return {**event.data, **stamped, "kind": event.said_kind}


def _encode_plain(fields: dict[str, Any], form: Format) -> bytes:
    try:
        plain = _well_formed(fields)
        return _pack(plain) if form == "msgpack" else _json(plain)
    except _UNENCODABLE as error:
        message = f"An event of kind {fields['kind']!r} cannot be encoded: {error}."
        raise EventError(message, hint="Its fields must be plain data.") from error


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_well_formed(key): _well_formed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_well_formed(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return _well_formed(msgspec.structs.asdict(value))
    return value


def _decode_other(data: bytes | memoryview, form: Format) -> Event:
    fields = _decode_fields(data, form)
    upgraded = _upgraded(fields)
    known = KINDS.get(upgraded["kind"])
    if known is not None and _version(upgraded) == known.VERSION:
        try:
            return msgspec.convert(upgraded, AnyKind)  # type: ignore[no-any-return]
        except msgspec.ValidationError:
            pass  # a field that does not fit: keep the event, as a kind that is not understood
    return _unknown(fields["kind"], fields)


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    new = fields
    try:
        while upgrade := UPGRADES.get((new["kind"], _version(new))):
            new = upgrade(dict(new))
    except Exception as error:  # noqa: BLE001 - one odd old event must not hide its neighbours
        logger.warning("An old event of kind %r could not be upgraded: %r.", fields["kind"], error)
        return fields
    return new


def _version(fields: dict[str, Any]) -> int:
    version = fields.get("version", 1)
    return version if isinstance(version, int) else 0


def _decode_fields(data: bytes | memoryview, form: Format) -> dict[str, Any]:
    try:
        fields = (msgspec.msgpack if form == "msgpack" else msgspec.json).decode(data)
    except (
        TypeError,
        *_UNREADABLE,
    ) as error:  # TypeError: a key of a kind that Python's mappings do not take
        raise EventError(f"These {len(data)} bytes are no event: {error}.", hint=_LOOKS) from error
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        raise EventError(
            "The message has no field 'kind' with a name, so it is no event of ours.", hint=_LOOKS
        )
    return fields


def _unknown(kind: str, fields: dict[str, Any]) -> Unknown:
    known = {name: fields[name] for name in ENVELOPE_FIELDS if name in fields}
    try:
        event = msgspec.convert(known, Unknown)
    except msgspec.ValidationError:
        event = Unknown()
    event.said_kind, event.data = kind, fields
    return event
