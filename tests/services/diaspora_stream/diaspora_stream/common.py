"""What both drivers share."""

from __future__ import annotations

import json
import zlib

from diaspora_stream.misuse import Misuse


class Exception(RuntimeError):
    """The only exception; its text tells what it means."""


class Event:
    def __init__(self, event_id, metadata, data, partition, acknowledge=None):
        self.event_id, self.partition = event_id, partition
        self.metadata = json.loads(metadata) if metadata else {}
        self.data = [memoryview(data)] if data else []
        self._acknowledge = acknowledge

    def acknowledge(self):
        if self._acknowledge is not None:
            self._acknowledge(self.event_id)


def as_metadata(metadata):
    if isinstance(metadata, dict):
        return json.dumps(metadata)
    if not isinstance(metadata, str):
        raise TypeError(f"metadata is a str or a dict, not {type(metadata).__name__}")
    try:
        json.loads(metadata)
    except ValueError:
        raise Exception("Could not parse JSON") from None
    return metadata


def as_data(data):
    """Views of the buffers, which are not copied, and their checksum."""
    views = [memoryview(part) for part in (data if isinstance(data, list) else [data])]
    return views, _sum(views)


def unchanged(held):
    views, checksum = held
    if _sum(views) != checksum:
        raise Misuse("a buffer has changed between push and flush")
    return b"".join(views)


def _sum(views):
    checksum = 0
    for view in views:
        if len(view):
            checksum = zlib.crc32(view, checksum)
    return checksum
