"""Events as CloudEvents 1.0 in structured JSON mode, for people and systems outside this project.

Source: the CloudEvents 1.0 specification, sections 'Context Attributes' and 'JSON Event Format'. Documents
are put together from pieces that are remembered, so that each event that is published can be one.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.codec import AnyKind, decode, encode
from parsl_diaspora.events.envelope import Event, Unknown, kind_of

TYPE_PREFIX = "org.parsl.diaspora."
CONTENT_TYPE = "application/cloudevents+json"
_IN_SOURCE = "/:@!$&'()*+,;="  # what a path of a URI reference may hold beside letters and digits
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


# --- writing ---


def encode_cloudevent(event: Event, sent: str = "", data: bytes | None = None) -> bytes:
    """The event as a CloudEvents document; the whole event stands in ``data``.

    Args:
        event: what is said.
        sent: the extension attribute of that name, left out if empty: a number that whoever sends gives to
            what it sends.
        data: the event as JSON, if it is encoded already.

    Raises:
        EventError: a field holds something that has no place in an event.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> encode_cloudevent(RunEnded(boot="ab", seq=1, time=0.5))[:46]
        b'{"specversion":"1.0","datacontenttype":"applic'
    """
    text = encode(event, "json") if data is None else data
    return b"".join((
        _head(event.source, type(event)) if type(event) is not Unknown else _new_head(event),
        _id(event.boot),
        b'%d"' % event.seq,
        _time(event.time),
        _subject(event),
        b',"sent":' + _text(sent) if sent else b"",
        b',"data":',
        text,
        b"}",
    ))  # fmt: skip


def encode_reference(event: Event, dataref: str) -> bytes:
    """A document for an event that is elsewhere, without a subject: ``dataref`` says where."""
    name = _id(event.boot) + b'%d"' % event.seq
    return b"".join((_new_head(event), name, _time(event.time), b',"dataref":', _text(dataref), b"}"))


def encode_mark(stamped: Event, name: str, kind: str) -> bytes:
    """A document without data: who says it, and when, as the stamp of an event tells.

    Args:
        stamped: any event with a stamp.
        name: its id.
        kind: its whole type.
    """
    name_and_time = b',"id":', _text(name), _time(stamped.time)
    return b"".join((_source(stamped.source), _type(kind), *name_and_time, b"}"))


@lru_cache(_FEW)
def _head(source: str, kind: type[Event]) -> bytes:
    return _source(source) + _type(f"{TYPE_PREFIX}{kind_of(kind)}.v{kind.VERSION}")


def _new_head(event: Event) -> bytes:
    if isinstance(event, Unknown):
        return _source(event.source) + _type(f"{TYPE_PREFIX}{event.said_kind}.v{event.version}")
    return _head(event.source, type(event))


def _source(source: str) -> bytes:
    whole = f"/parsl-diaspora/{quote(source, safe=_IN_SOURCE, errors='backslashreplace') or 'unknown'}"
    return b'{"specversion":"1.0","datacontenttype":"application/json","source":' + _text(whole)


def _type(whole: str) -> bytes:
    return b',"type":' + _text(whole)


@lru_cache(_FEW)
def _id(boot: str) -> bytes:
    """The id, up to the number that ends it."""
    return b',"id":' + _text(boot + "-")[:-1]


def _subject(event: Event) -> bytes:
    """Run, task and try, as far as they are known."""
    run, task, number = _run(event.run), event.task, event.try_id
    if task is None and number is None:
        return run + b'"' if event.run else b""
    words = b"" if task is None else b"task/%d" % task
    if number is not None:
        words += b"/try/%d" % number if words else b"try/%d" % number
    return b"".join((run, b"/" if event.run else b"", words, b'"'))


@lru_cache(_FEW)
def _run(run: str) -> bytes:
    """The subject, up to what stands behind the run."""
    return b',"subject":' + _text(f"run/{run}" if run else "")[:-1]


@lru_cache(16)
def _second(second: int) -> bytes:
    moment = datetime.fromtimestamp(second, tz=timezone.utc).isoformat()[:-6]
    return f',"time":"{moment}.'.encode()


def _time(seconds: float) -> bytes:
    """Left out where a calendar has no such time: the event itself still has it."""
    try:
        micros = round(seconds * 1_000_000)
        return b'%b%06dZ"' % (_second(micros // 1_000_000), micros % 1_000_000)
    except (ValueError, OverflowError, OSError):
        return b""


def _text(text: str) -> bytes:
    try:
        return _quote(text)
    except UnicodeEncodeError:
        return _quote(text.encode("utf-8", "backslashreplace").decode())


# --- reading ---


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
    if _is_ours(typed.specversion, typed.type) and event.version == type(event).VERSION:
        return event, typed.sent
    return _decode_other(document)


def from_cloudevent(message: dict[str, Any]) -> Event:
    """The event that a CloudEvents mapping of ours carries.

    Raises:
        EventError: the mapping is no CloudEvent of this project.
    """
    kind = message.get("type")
    if not _is_ours(message.get("specversion"), str(kind)):
        raise _foreign(kind)
    return decode(msgspec.json.encode(message.get("data")), "json")


def kind_in(document: bytes) -> str:
    """The kind of the event in a document that was made here.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> kind_in(encode_cloudevent(RunEnded()))
        'run.ended'
    """
    return _raw(document).type.removeprefix(TYPE_PREFIX).rpartition(".v")[0]


def _decode_other(document: bytes) -> tuple[Event, str]:
    try:
        found = _raw(document)
    except _UNREADABLE as error:
        raise EventError(f"These {len(document)} bytes are no CloudEvent: {error}.") from error
    if not _is_ours(found.specversion, found.type):
        raise _foreign(found.type)
    return decode(bytes(found.data), "json"), found.sent


def _is_ours(version: Any, kind: str) -> bool:
    return version == "1.0" and kind.startswith(TYPE_PREFIX)


def _foreign(kind: Any) -> EventError:
    return EventError(f"A CloudEvent of type {kind!r} is not one of this project.")
