"""The callers' side of a publisher that works in a thread: stamps, encodes, bounds, counts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.losses import CLOSED, FULL, Losses, encode_within
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.stamp import Stamp

BUFFER_BYTES = 64 * 1024 * 1024
LARGEST = 256 * 1024  # bytes of one event, unless a publisher takes larger ones


class CallersSide:
    """Takes events from any thread and hands them, encoded, to ``_put``, which a publisher brings along.

    What is put in counts as accepted; the publisher's thread says with ``_safe``, ``_given_up`` and
    ``_settled_bytes`` what became of it.
    """

    _largest = LARGEST
    _urgent: frozenset[str] = frozenset()  # topics whose events the thread brings to the disk at once

    def _open(self, source: str, buffer: int) -> None:
        """Start with a boot and counters of its own."""
        self._stamp = Stamp(source)
        self._buffer = buffer
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._losses = Losses()
        self._accepted = self._accepted_bytes = 0  # changed by callers, who hold the lock
        self._safe = self._given_up = self._settled_bytes = 0  # changed by the thread only
        self._settled = threading.Condition()  # whoever waits for these is woken
        self._said_at = 0  # so many were accepted when losses were last said
        self._look_at = 0
        self._urgent_until = 0  # number of the last event taken of an urgent topic

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._stamp.source

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closing.is_set()

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event."""
        with self._lock:
            if self._is_refusing():
                self._refuse(self._stamp.sign(event))
                return
            self._stamp(event)
            try:
                data = self._encode(event)
            except EventError as error:
                self._stamp.take_back(event)
                self._lose(event, error.message)
                return
            if self._urgent and event.topic in self._urgent:
                self._urgent_until = self._accepted + 1
            self._put(data)

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped."""
        with self._lock:
            if self._is_refusing():
                self._refuse(event)
                return
            try:
                data = self._encode(event)
            except EventError as error:
                self._lose(event, error.message)
                return
            if event.topic in self._urgent:
                self._urgent_until = self._accepted + 1
            self._put(self._forwarded(data))

    def _publish_at_once(self, events: Sequence[Event]) -> bool:
        """Stamp, encode and queue events in one go; False, and nothing done, where that is not so simple."""
        with self._lock:
            if self._urgent or self._closing.is_set():
                return False
            self._stamp.all(events)
            try:
                encoded = [self._encode(event) for event in events]
            except EventError:
                encoded = []
            if not encoded or not self._has_room_for(encoded):
                for event in events:
                    self._stamp.take_back(event)
                return False
            self._put_all(encoded)
        return True

    def _has_room_for(self, encoded: Sequence[Any]) -> bool:
        waiting = self._accepted - self._safe - self._given_up
        waiting_bytes = self._accepted_bytes - self._settled_bytes
        return (
            waiting + len(encoded) <= self._buffer and waiting_bytes + sum(map(len, encoded)) <= BUFFER_BYTES
        )

    def _met(self) -> int:
        """How many events have met their end."""
        return self._safe + self._given_up

    def _wait(self, timeout: float) -> bool:
        """Wait until all that was put in so far has met its end; whether it has."""
        target = self._accepted
        with self._settled:
            return self._settled.wait_for(
                lambda: self._met() >= max(target, self._said_at), max(0.0, timeout)
            )

    def report(self) -> FlushReport:
        """What became of the events so far."""
        waiting = self._accepted - self._met()
        return FlushReport(safe=self._safe, waiting=waiting, lost=self._losses.total + self._given_up)

    def _is_refusing(self) -> bool:
        """Whether there is no room for a further event."""
        if self._accepted < self._look_at and not self._closing.is_set():
            return False
        room = self._buffer - (self._accepted - self._safe - self._given_up)
        room_bytes = BUFFER_BYTES - (self._accepted_bytes - self._settled_bytes)
        self._look_at = self._accepted + min(room, room_bytes // self._largest)  # until then there is room
        return room <= 0 or room_bytes <= 0 or self._closing.is_set()

    def _refuse(self, event: Event) -> None:
        self._losses.add(event, CLOSED if self._closing.is_set() else FULL)

    def _lose(self, event: Event, why: str) -> None:
        self._losses.add(event, why)
        self._say_losses()

    def _say_losses(self) -> None:
        for said in self._losses.say():
            self._put(self._encode(self._stamp(said)))

    def _say_in_time(self) -> None:
        """Say losses before whoever waits is woken, so that a flush waits for what is said of them, too."""
        if self._losses:
            with self._lock:
                if not self._closing.is_set():
                    self._say_losses()
                    self._said_at = self._accepted

    def _encode(self, event: Event) -> Any:
        """An event as it is put in.

        Raises:
            EventError: it cannot be encoded, or is too large.
        """
        return encode_within(event, self._largest)

    def _forwarded(self, data: Any) -> Any:
        """An event of another source, as it is put in."""
        return data

    def _put(self, data: Any) -> None:
        raise NotImplementedError

    def _put_all(self, encoded: Sequence[Any]) -> None:
        for data in encoded:
            self._put(data)


class ImmediateSide(CallersSide):
    """In immediate mode, `publish` waits a little until the backend has the event, unless that is away.

    Whoever found the backend away waits again only when it has taken all that there was. A publisher says
    how long it waits: ``_hand_over_time``, and ``_patience`` for the first event.
    """

    _immediate: bool
    _hand_over_time: float  # seconds
    _patience: float  # seconds; 0 while the backend is away

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event; in immediate mode also wait a little for the backend."""
        super().publish(event)
        if self._immediate:
            self._hand_over()

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped; in immediate mode also wait a little."""
        super().forward(event)
        if self._immediate:
            self._hand_over()

    def _hand_over(self) -> None:
        if not self._patience and self._accepted - self._safe - self._given_up <= 1:
            self._patience = self._hand_over_time
        if self._patience and not self.closed:
            self._patience = self._hand_over_time if self._wait(self._patience) else 0.0
