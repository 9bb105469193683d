"""Batches that are on their way: kept until the hub has them, and sent again from the oldest on."""

from __future__ import annotations

import time
from collections import deque

import msgspec

from parsl_diaspora.events import join
from parsl_diaspora.fabric.file.frames import pack_frame
from parsl_diaspora.fabric.relay.wire import MAX_IN_FLIGHT


class Packed(msgspec.Struct, frozen=True):
    """A batch as it is sent, each time the same.

    Attributes:
        number: of the batch, from 1.
        frame: its events as a ready frame.
        count: events in it.
        size: bytes of the encoded events.
    """

    number: int
    frame: bytes
    count: int
    size: int


class Window:
    """At most so many batches on their way.

    Example:
        >>> window = Window()
        >>> window.add([b"one"], 1).number
        1
        >>> window.next_to_send().number, window.next_to_send()
        (1, None)
        >>> window.rewind()
        >>> window.next_to_send().number, [batch.count for batch in window.acknowledge(1)], len(window)
        (1, [1], 0)
    """

    def __init__(self, limit: int = MAX_IN_FLIGHT) -> None:
        self._limit = limit
        self._batches: deque[Packed] = deque()
        self._sent = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def is_full(self) -> bool:
        """Whether no further batch may be added before one is acknowledged."""
        return len(self._batches) >= self._limit

    @property
    def base(self) -> int:
        """Number of the oldest batch that is not acknowledged."""
        return self._batches[0].number if self._batches else self._number + 1

    @property
    def oldest(self) -> Packed:
        """The oldest batch that is not acknowledged; there must be one."""
        return self._batches[0]

    @property
    def awaits(self) -> bool:
        """Whether something was sent and not acknowledged."""
        return self._sent > 0

    @property
    def has_unsent(self) -> bool:
        """Whether something is to be sent."""
        return self._sent < len(self._batches)

    def add(self, encoded: list[bytes], first: int) -> Packed:
        """Pack a new batch.

        Args:
            encoded: its events.
            first: number of the first of them, or `FORWARDED`.
        """
        self._number += 1
        frame = pack_frame(join(encoded), len(encoded), first, time.time())
        batch = Packed(self._number, frame, len(encoded), sum(map(len, encoded)))
        self._batches.append(batch)
        return batch

    def next_to_send(self) -> Packed | None:
        """The oldest batch that was not sent since the last `rewind`; it counts as sent now."""
        if not self.has_unsent:
            return None
        batch = self._batches[self._sent]
        self._sent += 1
        return batch

    def take_back(self) -> None:
        """The batch that was to be sent last was not."""
        self._sent -= 1

    def rewind(self) -> None:
        """Send everything again."""
        self._sent = 0

    def acknowledge(self, number: int) -> list[Packed]:
        """The batches that are safe now, up to this one."""
        safe: list[Packed] = []
        while self._batches and self._batches[0].number <= number:
            safe.append(self._batches.popleft())
        self._sent = max(0, self._sent - len(safe))
        return safe
