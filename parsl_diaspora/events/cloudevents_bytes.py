"""CloudEvents as bytes, both ways, fast enough for each event that is published.

The same documents as `parsl_diaspora.events.cloudevents`, without a detour over mappings.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.cloudevents import TYPE_PREFIX, source_of, subject_of, type_of
from parsl_diaspora.events.codec import AnyKind, decode, encode
from parsl_diaspora.events.envelope import Event, Unknown, kind_of

_FEW = 256  # sources and kinds that are remembered


class _Typed(msgspec.Struct, gc=False):
    type: str
    data: AnyKind
    sent: str = ""
    specversion: str = ""


class _Raw(msgspec.Struct, gc=False):
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    sent: str = ""
    specversion: str = ""


_typed = msgspec.json.Decoder(_Typed).decode
_raw = msgspec.json.Decoder(_Raw).decode
_quote = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def encode_cloudevent(event: Event, sent: str = "") -> bytes:
    """The event as a CloudEvents document in structured JSON mode.

    Args:
        event: what is said.
        sent: the extension attribute of that name, left out if empty: a number that whoever sends gives to
            what it sends.

    Raises:
        EventError: a field holds something that has no place in an event.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> encode_cloudevent(RunEnded(boot="ab", seq=1, time=0.5))[:46]
        b'{"specversion":"1.0","datacontenttype":"applic'
    """
    data = encode(event, "json")
    subject = subject_of(event)
    return b"".join((
        _source(event.source),
        _kind(type(event)) if type(event) is not Unknown else _type(type_of(event)),
        b',"id":',
        _text(event.id),
        _time(event.time),
        b',"subject":' + _text(subject) if subject else b"",
        b',"sent":' + _text(sent) if sent else b"",
        b',"data":',
        data,
        b"}",
    ))  # fmt: skip


def decode_cloudevent(document: bytes) -> tuple[Event, str]:
    """The event that a CloudEvents document of ours carries, and its attribute ``sent``.

    Raises:
        EventError: the bytes are no CloudEvent of this project.
    """
    try:
        typed = _typed(document)
    except _UNREADABLE:
        return _decode_other(document)
    event: Event = typed.data
    if _is_ours(typed) and event.version == type(event).VERSION:
        return event, typed.sent
    return _decode_other(document)


def _decode_other(document: bytes) -> tuple[Event, str]:
    try:
        found = _raw(document)
    except _UNREADABLE as error:
        raise EventError(f"These {len(document)} bytes are no CloudEvent: {error}.") from error
    if not _is_ours(found):
        raise EventError(f"A CloudEvent of type {found.type!r} is not one of this project.")
    return decode(bytes(found.data), "json"), found.sent


def _is_ours(found: _Typed | _Raw) -> bool:
    return found.specversion == "1.0" and found.type.startswith(TYPE_PREFIX)


@lru_cache(_FEW)
def _source(source: str) -> bytes:
    head = b'{"specversion":"1.0","datacontenttype":"application/json","source":'
    return head + _text(source_of(source))


@lru_cache(_FEW)
def _kind(kind: type[Event]) -> bytes:
    return _type(f"{kind_of(kind)}.v{kind.VERSION}")


def _type(name: str) -> bytes:
    return b',"type":' + _text(TYPE_PREFIX + name)


@lru_cache(16)
def _second(second: int) -> bytes:
    moment = datetime.fromtimestamp(second, tz=timezone.utc)
    return f',"time":"{moment:%Y-%m-%dT%H:%M:%S}.'.encode()


def _time(seconds: float) -> bytes:
    """Left out where a calendar has no such time: the event itself still has it."""
    try:
        micros = round(seconds * 1_000_000)
        return _second(micros // 1_000_000) + b'%06dZ"' % (micros % 1_000_000)
    except (ValueError, OverflowError, OSError):
        return b""


def _text(text: str) -> bytes:
    try:
        return _quote(text)
    except UnicodeEncodeError:
        return _quote(text.encode("utf-8", "backslashreplace").decode())


def kind_in(document: bytes) -> str:
    """The kind of the event in a document that was made here.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> kind_in(encode_cloudevent(RunEnded()))
        'run.ended'
    """
    return _raw(document).type.removeprefix(TYPE_PREFIX).rpartition(".v")[0]
