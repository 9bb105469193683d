"""Events as CloudEvents 1.0 in structured JSON mode, for people and systems outside this project.

Source: the CloudEvents 1.0 specification, sections 'Context Attributes' and 'JSON Event Format'.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.codec import decode, encode
from parsl_diaspora.events.envelope import Event, Unknown, kind_of

TYPE_PREFIX = "org.parsl.diaspora."
CONTENT_TYPE = "application/cloudevents+json"
JSON_TYPE = "application/json"
_IN_SOURCE = "/:@!$&'()*+,;="  # what a path of a URI reference may hold beside letters and digits


def to_cloudevent(event: Event) -> dict[str, Any]:
    """The event as a CloudEvents mapping; the whole event stands in ``data``.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> to_cloudevent(RunEnded(boot="ab", seq=1, run="r"))["type"]
        'org.parsl.diaspora.run.ended.v1'
    """
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": source_of(event.source),
        "type": f"{TYPE_PREFIX}{type_of(event)}",
        "datacontenttype": "application/json",
        "data": msgspec.json.decode(encode(event, "json")),
    }
    if moment := _moment(event.time):
        message["time"] = moment
    if subject := subject_of(event):
        message["subject"] = subject
    return message


def from_cloudevent(message: dict[str, Any]) -> Event:
    """The event that a CloudEvents mapping of ours carries.

    Raises:
        EventError: the mapping is no CloudEvent of this project.
    """
    kind = message.get("type")
    if message.get("specversion") != "1.0" or not str(kind).startswith(TYPE_PREFIX):
        raise EventError(f"A CloudEvent of type {kind!r} is not one of this project.")
    return decode(msgspec.json.encode(message.get("data")), "json")


class Message(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A CloudEvent of ours as it is on the wire, its data still encoded.

    Attributes:
        specversion: of CloudEvents.
        id: of the event.
        source: who speaks, as the path of a URI.
        type: the kind and its version.
        time: when, as RFC 3339 has it; empty if that year has no such form.
        subject: run, task and try.
        datacontenttype: of the data.
        dataref: where the data are, if they are not here.
        data: the event as JSON, if it is here.
    """

    specversion: str
    id: str
    source: str
    type: str
    time: str = ""
    subject: str = ""
    datacontenttype: str = ""
    dataref: str = ""
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def to_message(event: Event, data: bytes) -> Message:
    """The message around an event that is encoded as JSON already."""
    return Message(
        specversion="1.0",
        id=event.id,
        source=source_of(event.source),
        type=TYPE_PREFIX + type_of(event) if isinstance(event, Unknown) else _known_type(type(event)),
        time=_moment(event.time),
        subject=subject_of(event),
        datacontenttype=JSON_TYPE,
        data=msgspec.Raw(data),
    )


def encode_message(message: Message) -> bytes:
    """A message as bytes. Characters that no encoding has are spelled out."""
    try:
        return _encode(message)
    except (TypeError, ValueError, msgspec.MsgspecError):
        for name in ("id", "subject", "type"):
            plain = getattr(message, name).encode("utf-8", "backslashreplace").decode("utf-8")
            setattr(message, name, plain)
        return _encode(message)


_encode = msgspec.json.Encoder().encode


def _moment(seconds: float) -> str:
    """As RFC 3339 has it; empty if there is no such form."""
    try:
        whole = int(seconds // 1)
        micros = round((seconds - whole) * 1e6)
        second = _second(whole + micros // 1_000_000)
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{second}.{micros % 1_000_000:06d}Z"


@lru_cache(maxsize=1000)
def _second(whole: int) -> str:
    return datetime.fromtimestamp(whole, tz=timezone.utc).isoformat()[:-6]


@lru_cache(maxsize=1000)
def _known_type(cls: type[Event]) -> str:
    return f"{TYPE_PREFIX}{kind_of(cls)}.v{cls.VERSION}"


@lru_cache(maxsize=10_000)
def source_of(source: str) -> str:
    """The attribute ``source`` of what a source says."""
    return f"/parsl-diaspora/{quote(source, safe=_IN_SOURCE, errors='backslashreplace') or 'unknown'}"


def type_of(event: Event) -> str:
    """The attribute ``type`` behind its prefix: kind and version."""
    if isinstance(event, Unknown):
        return f"{event.said_kind}.v{event.version}"
    return f"{event.kind}.v{event.VERSION}"


def subject_of(event: Event) -> str:
    """The attribute ``subject``: run, task and try as far as they are known."""
    subject = f"run/{event.run}" if event.run else ""
    if event.task is not None:
        subject += f"/task/{event.task}" if subject else f"task/{event.task}"
    if event.try_id is not None:
        subject += f"/try/{event.try_id}" if subject else f"try/{event.try_id}"
    return subject
