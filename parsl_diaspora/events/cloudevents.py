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
    message: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": source_of(event.source),
        "type": f"{TYPE_PREFIX}{type_of(event)}",
        "datacontenttype": "application/json",
        "data": msgspec.json.decode(encode(event, "json")),
    }
    if moment := _time(event.time):
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


def _time(seconds: float) -> str:
    """Nothing where a calendar has no such time: the event itself still has it."""
    try:
        moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return ""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
