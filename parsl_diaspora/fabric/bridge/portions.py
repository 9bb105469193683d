"""Batches that a publisher can keep in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, encode

MOST_BYTES = 16 * 1024 * 1024  # of one portion: publishers keep 64 MiB
_LEAST = 64  # events that are not weighed: the largest that a fabric takes are some hundred kB


def portions(events: list[Event]) -> list[list[Event]]:
    """The events in lists of at most about 16 MiB each; a list that is light goes on as it is.

    Example:
        >>> [len(portion) for portion in portions([Event()] * 1000)]
        [1000]
    """
    if len(events) <= _LEAST:
        return [events] if events else []
    weights = list(accumulate(map(_weight, events)))
    if weights[-1] <= MOST_BYTES:
        return [events]
    return list(_cut(events, weights))


def _cut(events: list[Event], weights: list[int]) -> Iterator[list[Event]]:
    begin, done = 0, 0
    for at, weight in enumerate(weights, start=1):
        if weight - done >= MOST_BYTES or at == len(events):
            yield events[begin:at]
            begin, done = at, weight


def _weight(event: Event) -> int:
    try:
        return len(encode(event))
    except EventError:  # the publisher says what is wrong with it
        return 0
