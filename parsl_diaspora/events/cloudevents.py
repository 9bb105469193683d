"""Events as CloudEvents 1.0 in structured JSON mode, for people and systems outside this project.

Source: the CloudEvents 1.0 specification, sections 'Context Attributes' and 'JSON Event Format'.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import msgspec

from parsl_diaspora.errors import EventError
from parsl_diaspora.events.codec import decode, encode
from parsl_diaspora.events.envelope import Event, Unknown

TYPE_PREFIX = "org.parsl.diaspora."
CONTENT_TYPE = "application/cloudevents+json"
_IN_SOURCE = "/:@!$&'()*+,;="  # what a path of a URI reference may hold beside letters and digits


def to_cloudevent(event: Event) -> dict[str, Any]:
    """The event as a CloudEvents mapping; the whole event stands in ``data``.

    Example:
        >>> from parsl_diaspora.events import RunEnded
        >>> to_cloudevent(RunEnded(boot="ab", seq=1, run="r"))["type"]
        'org.parsl.diaspora.run.ended.v1'
    """
    moment = datetime.fromtimestamp(event.time, tz=timezone.utc)
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/parsl-diaspora/{_in_path(event.source) or 'unknown'}",
        "type": f"{TYPE_PREFIX}{_type(event)}",
        "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": msgspec.json.decode(encode(event, "json")),
    }
    if subject := _subject(event):
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


def _in_path(source: str) -> str:
    return quote(source, safe=_IN_SOURCE, errors="backslashreplace")


def _type(event: Event) -> str:
    if isinstance(event, Unknown):
        return f"{event.said_kind}.v{event.version}"
    return f"{event.kind}.v{event.VERSION}"


def _subject(event: Event) -> str:
    parts = [f"run/{event.run}"] if event.run else []
    if event.task is not None:
        parts.append(f"task/{event.task}")
    if event.try_id is not None:
        parts.append(f"try/{event.try_id}")
    return "/".join(parts)
