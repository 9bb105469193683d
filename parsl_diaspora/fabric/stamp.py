"""The stamp: source, boot, number and times, put on each event as it is published."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from parsl_diaspora.events.envelope import Event


class Stamp:
    """Numbers the events of one life of one source. Not thread-safe: its publisher holds a lock.

    Attributes:
        source: who speaks.
        boot: random id of this life, hex.
        seq: number of the last event.
        last: time of the last event, seconds UTC.

    Example:
        >>> stamp = Stamp("submit:host:1")
        >>> event = stamp(Event())
        >>> event.seq, event.source
        (1, 'submit:host:1')
    """

    __slots__ = ("boot", "last", "seq", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.boot = os.urandom(8).hex()  # `secrets` would load OpenSSL into every worker
        self.seq = 0
        self.last = 0.0

    def __call__(self, event: Event) -> Event:
        """Stamp ``event`` in place and return it. A time that the speaker set is kept."""
        self.seq += 1
        event.source = self.source
        event.boot = self.boot
        event.seq = self.seq
        event.time = self.last = event.time or time.time()
        event.mono = time.monotonic()
        return event

    def all(self, events: Sequence[Event]) -> None:
        """Stamp events in place, in one go."""
        source, boot, mono, number = self.source, self.boot, time.monotonic(), self.seq
        for event in events:
            number += 1
            event.source = source
            event.boot = boot
            event.seq = number
            event.time = event.time or time.time()
            event.mono = mono
        self.seq = number
        self.last = events[-1].time if events else self.last

    def take_back(self, event: Event) -> None:
        """Free the number of the event that was stamped last: it could not be kept."""
        self.seq -= 1
        event.seq = 0

    def sign(self, event: Event) -> Event:
        """Say who speaks and when, without a number: for an event that is refused, as none may be missing."""
        self(event)
        self.take_back(event)
        return event


def default_source(role: str) -> str:
    """``role:HOST:PID`` of this process."""
    return f"{role}:{os.uname().nodename}:{os.getpid()}"
