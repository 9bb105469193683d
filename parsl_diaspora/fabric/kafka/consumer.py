"""Reading events from all partitions of our topics."""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable, Mapping

from parsl_diaspora.errors import EventError, FabricUnavailable
from parsl_diaspora.events import Event
from parsl_diaspora.events.cloudevents import decode_cloudevent
from parsl_diaspora.fabric.forks import keep_for_ever, renew_after_fork
from parsl_diaspora.fabric.kafka.clients import Client, Cluster, Fetched, Receiver, TopicSeen
from parsl_diaspora.fabric.kafka.faults import Faults, cause_of
from parsl_diaspora.fabric.kafka.layout import Part
from parsl_diaspora.fabric.kafka.order import MOST_HELD, Order
from parsl_diaspora.fabric.kafka.start import Beginning
from parsl_diaspora.fabric.kafka.url import KafkaUrl

logger = logging.getLogger(__name__)

_ANSWER = 10.0  # seconds for a question to the cluster
_LOOK, _LOOK_SOON = 5.0, 0.5  # seconds between looks for new partitions and topics; when some are missing
_SLICE = 0.05  # seconds of a wait, while events are held back
_ASK, _ASK_AGAIN = 0.5, 0.2  # seconds for the question where partitions end; between two of them


class KafkaConsumer:
    """One named reader of a fabric: all partitions are its own, its positions are those of a consumer group.

    Where the cluster does not answer when it is made, it begins with the first poll that reaches it.

    Args:
        url: of the fabric.
        client: makes receivers.
        name: of the reader.
        beginning: where to begin without a committed position.
    """

    def __init__(self, url: KafkaUrl, client: Client, name: str, beginning: Beginning) -> None:
        self._url = url
        self._group = f"{url.prefix}.{name}"
        self._beginning = beginning
        self._client = client
        self._cluster = client.cluster(url)
        self._faults = Faults(url.shown, f"the consumer {name!r} waits")
        self._order = Order(url.order_wait)
        self._in_order = url.reads_all  # else what is missing may be in a topic that is not read
        self._next: dict[Part, int] = {}
        self._topics: dict[str, TopicSeen] = {}
        self._receiver: Receiver | None = None  # once it has begun
        self._known: Receiver | None = None
        self._looking: Callable[[], dict[str, TopicSeen] | None] | None = None
        self._look_at = self._ask_at = 0.0
        self._ends: dict[Part, int] = {}
        self._paused: set[Part] = set()
        self._skipped = 0
        self._open: list[Receiver | Cluster] = [self._cluster]
        self._close = weakref.finalize(self, _close_all, self._open, os.getpid())
        renew_after_fork(self)
        try:
            self._begin()
        except FabricUnavailable as error:
            logger.warning("%s The consumer %r waits for it.", error, name)

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, in the order of each publisher.

        Raises:
            FabricUnavailable: no server answers, or it refuses us, and nothing is there to be given.
        """
        deadline = time.monotonic() + timeout
        while not self.closed:
            left = max(0.0, deadline - time.monotonic())
            self._read(left if not self._order.held else min(left, _SLICE), limit)
            if self._order.ready or time.monotonic() >= deadline:
                break
        ready = self._order.ready
        events = [ready.popleft().event for _ in range(min(limit, len(ready)))]
        if not events and self._faults.now is not None and not self.closed:
            raise self._faults.error()
        return events

    def commit(self) -> None:
        """Keep the position as that of the consumer group.

        Raises:
            FabricUnavailable: the cluster does not keep it.
        """
        if self._receiver is None:
            raise self._faults.error()
        self._receiver.commit(self._positions(), _ANSWER)

    def position(self) -> dict[str, int]:
        """Where this reader is: the offset of the next event, by ``TOPIC/PARTITION``. A start can be one."""
        return {f"{topic}/{number}": offset for (topic, number), offset in self._positions().items()}

    def lag(self) -> int:
        """Events published but not yet polled; as far as is known, if the cluster does not answer."""
        waiting = len(self._order.ready) + self._order.held
        try:
            ends = self._cluster.offsets(self._next, "next", _ANSWER)
        except FabricUnavailable:
            return waiting
        return waiting + sum(max(0, end - self._next[part]) for part, end in ends.items())

    def skipped(self) -> int:
        """Records that are no events of ours, and stretches that had gone before they were read."""
        return self._skipped

    def close(self) -> None:
        """Stop reading."""
        self._close()

    @property
    def closed(self) -> bool:
        """Whether nothing is read any more."""
        return not self._close.alive

    def begin_life(self, *, closed: bool = False) -> None:
        """A forked child cannot read with what its parent has open: its copy is closed."""
        del closed
        keep_for_ever(self._known)
        keep_for_ever(self._cluster)
        self._close.detach()

    # --- beginning ---

    def _begin(self) -> None:
        try:
            self._cluster.ensure(self._url.topics, _ANSWER)
            seen = self._cluster.topics(self._url.topics, _ANSWER)
            parts = _parts(seen)
            receiver = self._known or self._client.receiver(self._url, self._group, self._faults.note)
            if self._known is None:
                self._known = receiver
                self._open.append(receiver)
            known = receiver.committed(parts, _ANSWER)
            offsets = self._beginning.offsets(self._cluster, [part for part in parts if part not in known])
        except FabricUnavailable as error:
            self._beginning.wait()
            self._faults.now = self._faults.now or cause_of(error)
            raise
        self._faults.over()
        self._receiver = receiver
        self._topics = seen
        self._assign({**offsets, **known})
        self._look_at = time.monotonic() + (_LOOK if len(seen) == len(self._url.topics) else _LOOK_SOON)

    def _assign(self, offsets: Mapping[Part, int]) -> None:
        self._next.update(offsets)
        for part in offsets:
            self._order.begin(part)
        if offsets and self._receiver is not None:
            self._receiver.assign(offsets)

    def _positions(self) -> dict[Part, int]:
        """Behind all that was given out; where events of a partition are held back, the first of those."""
        positions = dict(self._next)
        for met in self._order.pending():
            positions[met.part] = min(positions[met.part], met.offset)
        return positions

    # --- reading ---

    def _read(self, timeout: float, limit: int) -> None:
        if self._receiver is None:
            self._begin_at_last(timeout)
            return
        self._look()
        room = max(1, limit - len(self._order.ready))
        wait = 0.0 if self._order.ready else timeout if self._looking is None else min(timeout, _SLICE)
        for fetched in self._receiver.fetch(wait, room):
            if fetched.value is not None:
                self._take(fetched, fetched.value)
            else:
                self._hear(fetched)
        if self._order.held:
            self._make_sure(self._receiver)
        self._order.settle()
        if self._order.held > MOST_HELD // 2 or self._paused:
            self._balance()

    def _make_sure(self, receiver: Receiver) -> None:
        """Before an event goes without those before it: have all partitions been read, or are some away?"""
        now = time.monotonic()
        if receiver.repeats_ends or now < self._ask_at or not self._order.overdue():
            return
        self._ask_at = now + _ASK_AGAIN
        try:
            ends = self._cluster.offsets(self._next, "next", _ASK)
        except FabricUnavailable:
            self._ask_at = time.monotonic() + _ASK
            return
        for part, end in ends.items():
            if max(self._next[part], self._ends.get(part, 0)) >= end:
                self._order.end(part, now)

    def _begin_at_last(self, timeout: float) -> None:
        try:
            self._begin()
        except FabricUnavailable:
            time.sleep(min(timeout, _LOOK_SOON))

    def _take(self, fetched: Fetched, value: bytes) -> None:
        part, offset = fetched.part, fetched.offset
        if offset < self._next.get(part, 0):
            return  # from before the partition was assigned anew
        self._next[part] = offset + 1
        try:
            event, sent = decode_cloudevent(value)
        except EventError as error:
            self._skipped += 1
            logger.warning("%s/%d has a record at %d that is passed over: %s", *part, offset, error)
        else:
            self._order.add(part, offset, event, sent if self._in_order else "")

    def _hear(self, fetched: Fetched) -> None:
        if fetched.word == "end":
            self._ends[fetched.part] = fetched.offset
            self._order.end(fetched.part)
        elif fetched.word == "range":
            self._restart(fetched.part, "the events up to there have gone")
        else:
            self._look_at = min(self._look_at, time.monotonic() + _LOOK_SOON)

    def _restart(self, part: Part, why: str) -> None:
        """Go on with the first event that a partition still has."""
        try:
            first = self._cluster.offsets([part], "first", _ANSWER)
        except FabricUnavailable:
            return  # the client says it again
        self._skipped += 1
        logger.warning("%s/%d goes on at %d instead of %d: %s.", *part, first[part], self._next[part], why)
        self._next.pop(part)
        self._assign(first)

    def _balance(self) -> None:
        """Where very much is held back, read on only where the missing events may be."""
        receiver = self._receiver
        if receiver is None:
            return
        if self._paused and self._order.held < MOST_HELD // 4:
            receiver.resume(self._paused)
            self._paused = set()
        elif self._order.held > MOST_HELD // 2:
            ahead = set(self._next) - self._order.awaited()
            receiver.resume(self._paused - ahead)
            receiver.pause(ahead - self._paused)
            self._paused = ahead

    # --- topics come and go ---

    def _look(self) -> None:
        if self._looking is not None:
            self._see()
        elif time.monotonic() >= self._look_at or self._faults.now is not None:
            self._looking = self._cluster.look(self._url.topics)

    def _see(self) -> None:
        assert self._looking is not None  # noqa: S101 - asked before
        try:
            seen = self._looking()
        except FabricUnavailable as error:
            self._faults.now = self._faults.now or cause_of(error)
            seen = {}
        else:
            if seen is None:
                return
            self._faults.over()
            self._follow(seen)
        self._looking = None
        soon = self._faults.now is not None or len(seen) < len(self._url.topics)
        self._look_at = time.monotonic() + (_LOOK_SOON if soon else _LOOK)

    def _follow(self, seen: dict[str, TopicSeen]) -> None:
        for topic, now in seen.items():
            before = self._topics.get(topic)
            if before is not None and before.identity != now.identity:
                self._skipped += 1
                logger.warning("The topic %s was deleted and made again; what it held is gone.", topic)
                self._assign(dict.fromkeys(_parts({topic: now}), 0))
            elif before is None or before.partitions != now.partitions:
                new = [part for part in _parts({topic: now}) if part not in self._next]
                self._assign(dict.fromkeys(new, 0))
        self._topics.update(seen)


def _close_all(held: list[Receiver | Cluster], process: int) -> None:
    """Also for a consumer that is forgotten, and when the program ends."""
    if os.getpid() == process:
        for each in held:
            each.close()


def _parts(seen: Mapping[str, TopicSeen]) -> list[Part]:
    return [(topic, number) for topic, each in seen.items() for number in range(each.partitions)]
