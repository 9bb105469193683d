"""The order of each publisher, restored over partitions and topics.

A publisher numbers what it sends. Kafka keeps order within a partition only, so a reader may meet number 8 in
one partition before number 7 in another. It holds 8 back until 7 is there, or until 7 cannot be there any
more: every partition that might have it was read to its end, a while after 8 had come. That a partition was
at its end before says nothing: it may be out of reach since then.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import NamedTuple

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.kafka.layout import Part

MOST_HELD = 100_000
_MOST_SENDERS = 20_000
_LONGEST = 30.0  # seconds of silence, after which a partition is not waited for


class Met(NamedTuple):
    """An event that was read, and where."""

    number: int
    part: Part
    offset: int
    arrived: float
    event: Event

    def __lt__(self, other: tuple[object, ...]) -> bool:
        return self[:3] < other[:3]


class _Life:
    """What is known of one life of a publisher."""

    __slots__ = ("due", "held", "seen")

    def __init__(self) -> None:
        self.due = 1
        self.held: list[Met] = []
        self.seen: dict[Part, int] = {}


class Order:
    """Takes events as they are read and gives them in each publisher's order.

    Args:
        wait: seconds that must lie between the arrival of an event and the end of the other partitions,
            before it goes without those that are missing: a publisher's batches for several partitions are on
            their way at the same time.
        most: events held back at most; beyond it the longest held goes first.
        clock: gives monotonic seconds.

    Attributes:
        ready: events in order, to be taken from its left.
        held: number of events held back.

    Example:
        >>> order = Order()
        >>> order.add(("t", 1), 0, Event(boot="b"), "life-2")
        >>> order.add(("t", 0), 0, Event(boot="a"), "life-1")
        >>> [met.event.boot for met in order.ready]
        ['a', 'b']
    """

    def __init__(
        self, wait: float = 0.5, most: int = MOST_HELD, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wait = wait
        self._most = most
        self._clock = clock
        self._lives: dict[str, _Life] = {}
        self._broken: dict[str, _Life] = {}  # lives with something missing, by the time of the first
        self._ended: dict[Part, float] = {}  # when a partition was last seen to be read to its end
        self._heard: dict[Part, float] = {}  # when a partition last had something to say
        self.ready: deque[Met] = deque()
        self.held = 0

    def begin(self, part: Part) -> None:
        """A partition is read from now on."""
        self._ended[part] = self._heard[part] = float("-inf")

    def end(self, part: Part, at: float | None = None) -> None:
        """All that a partition had was read.

        Args:
            part: which one.
            at: when it had no more, on the clock; now, if it is not given.
        """
        now = self._clock()
        self._heard[part] = now
        self._ended[part] = max(self._ended[part], now if at is None else at)

    def overdue(self) -> bool:
        """Whether an event has waited long enough, should all partitions be at their ends by now."""
        latest = self._clock() - self._wait
        return any(life.held[0].arrived <= latest for life in self._broken.values() if life.held)

    def add(self, part: Part, offset: int, event: Event, sent: str) -> None:
        """An event was read.

        Args:
            part: from which partition.
            offset: at which place.
            event: what is said.
            sent: the publisher's life and number for it, as ``LIFE-NUMBER``; empty if it has none.
        """
        now = self._heard[part] = self._clock()
        life, _, digits = sent.rpartition("-")
        if not life or not digits.isdecimal():
            self.ready.append(Met(0, part, offset, 0.0, event))
            return
        self._take(life, Met(int(digits), part, offset, now, event))

    def _take(self, name: str, met: Met) -> None:
        life = self._lives.get(name)
        if life is None:
            life = self._lives[name] = _Life()
            self._forget_some()
        life.seen[met.part] = met.number
        if met.number > life.due:
            heapq.heappush(life.held, met)
            self.held += 1
            self._broken.setdefault(name, life)
            return
        self.ready.append(met)
        if met.number == life.due:
            life.due += 1
            if life.held:
                self._release(name, life)

    def settle(self) -> None:
        """Let go of what waited for events that cannot come any more, or longer than there is room."""
        for name, life in list(self._broken.items()):
            while life.held and not self._candidates(life):
                self._skip(name, life)
        while self.held > self._most:
            name, life = next(iter(self._broken.items()))
            self._skip(name, life)

    def awaited(self) -> set[Part]:
        """Partitions that may hold what is missing."""
        return {part for life in self._broken.values() for part in self._candidates(life)}

    def pending(self) -> Iterator[Met]:
        """All that was added and is not taken yet."""
        yield from self.ready
        for life in self._broken.values():
            yield from life.held

    def _candidates(self, life: _Life) -> Collection[Part]:
        first = life.held[0]
        silent = self._clock() - _LONGEST
        return [
            part
            for part, ended in self._ended.items()
            if life.seen.get(part, 0) < first.number
            and ended < first.arrived + self._wait
            and max(self._heard[part], first.arrived) > silent
        ]

    def _skip(self, name: str, life: _Life) -> None:
        life.due = life.held[0].number
        self._release(name, life)

    def _release(self, name: str, life: _Life) -> None:
        while life.held and life.held[0].number <= life.due:
            met = heapq.heappop(life.held)
            life.due = max(life.due, met.number + 1)
            self.ready.append(met)
            self.held -= 1
        if not life.held:
            self._broken.pop(name, None)

    def _forget_some(self) -> None:
        """Forget the older half of too many lives; should one speak again, it only waits a little."""
        if len(self._lives) > _MOST_SENDERS:
            for name in list(islice(self._lives, _MOST_SENDERS // 2)):
                if name not in self._broken:
                    del self._lives[name]
