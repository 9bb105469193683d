"""Where an event goes on Kafka, and how it looks there."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from parsl_diaspora.events.cloudevents import CONTENT_TYPE, encode_cloudevent, kind_in
from parsl_diaspora.events.envelope import Event, Unknown, kind_of

Headers = list[tuple[str, bytes]]
Part = tuple[str, int]  # topic and partition

_CONTENT_TYPE = f"{CONTENT_TYPE}; charset=UTF-8".encode()
_KINDS = 256


class Record(NamedTuple):
    """An event as Kafka takes it."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers


def record_of(event: Event, stem: str, sent: str) -> Record:
    """The event as a CloudEvents document, with the key by which it finds its partition.

    Args:
        event: stamped.
        stem: what the topics' names begin with.
        sent: the publisher's life and its number for this record, as ``LIFE-NUMBER``.

    Raises:
        EventError: a field holds something that has no place in an event.
    """
    if isinstance(event, Unknown):
        topic, headers = f"{stem}{event.topic}", _headers(event.said_kind)
    else:
        topic, headers = _address(type(event), stem)
    return Record(topic, key_of(event), encode_cloudevent(event, sent), headers)


def record_again(topic: str, key: bytes, value: bytes) -> Record:
    """A record from what a client gives back of it, which may lack the headers."""
    return Record(topic, key, value, _headers(kind_in(value)))


def key_of(event: Event) -> bytes:
    """Run and task, else the node, else the run, else whoever speaks.

    Example:
        >>> key_of(Event(run="r", task=5))
        b'r/5'
    """
    task = f"{event.run}/{event.task}" if event.task is not None else ""
    key = task or event.node or event.run or event.source
    return key.encode("utf-8", "backslashreplace")


@lru_cache(_KINDS)
def _address(kind: type[Event], stem: str) -> tuple[str, Headers]:
    return f"{stem}{kind.topic}", _headers(kind_of(kind))


def _headers(kind: str) -> Headers:
    return [("content-type", _CONTENT_TYPE), ("kind", kind.encode("utf-8", "backslashreplace"))]
