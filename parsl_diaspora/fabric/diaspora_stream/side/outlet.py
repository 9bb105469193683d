"""Pushing: one batch at a time, confirmed by its push futures before the next is begun."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target
from parsl_diaspora.fabric.diaspora_stream.records import HEARTBEAT, mark, source_of, split_record
from parsl_diaspora.fabric.diaspora_stream.side.waits import wait
from parsl_diaspora.fabric.stamp import Stamp

PAUSE_FIRST, PAUSE_LONGEST = 0.1, 2.0
REFUSALS = 3  # of one record alone, while the server took a heartbeat, before it is given up
_LOOK = 0.005


def partitions_of(topic: Any) -> int:
    """How many partitions a topic has."""
    partitions = topic.partitions
    return partitions if isinstance(partitions, int) else max(1, len(partitions))


class Stuck(RuntimeError):
    """The server confirms nothing any more, so the handles are given up, and this process with them."""


class Sent(NamedTuple):
    """A record that was pushed. It holds the buffers, which the binding does not copy."""

    channel: int
    number: int
    record: bytes
    future: Any
    held: tuple[str, bytes]


class Outlet:
    """All publishers of this process share one producer, in turn; each one's order is kept.

    A batch that fails is followed by a heartbeat. If the server takes that, the batch is tried again record
    by record, and a record that fails alone several times is given up. If not, the server is to blame.

    Args:
        target: where to.
        topic: its handle.
        give: sends an answer to the program.

    Attributes:
        ends: number behind the last record that is known, for each partition.
    """

    def __init__(self, target: Target, topic: Any, give: Callable[[wire.ToProgram], None]) -> None:
        self._target = target
        self._traits = target.traits
        self._give = give
        self._producer = topic.producer(batch_size=self._traits.batch_events, max_num_batches=2)
        self._partitions = partitions_of(topic)
        self._stamp = Stamp("stream")
        self._waiting: dict[int, deque[tuple[int, bytes]]] = {}
        self._flight: list[Sent] = []
        self._flushed: Any = None
        self._deadline = self._not_before = self._confirmed_at = 0.0
        self._doubtful = 0  # records at the front that are tried alone
        self._failed: dict[tuple[int, int], int] = {}
        self._failures = 0
        self.ends: dict[int, int] = {}
        self._alive()

    def add(self, channel: int, first: int, records: list[bytes]) -> None:
        """Records of one publisher."""
        own = self._waiting.setdefault(channel, deque())
        own.extend(enumerate(records, first))

    def is_empty(self) -> bool:
        """Whether nothing waits or is on its way."""
        return not self._flight and not any(self._waiting.values())

    def step(self) -> bool:
        """Get on with the batch, or begin the next; whether there was something to do.

        Raises:
            Stuck: nothing was confirmed for too long.
        """
        if self._flight:
            return self._settle()
        if time.monotonic() < self._not_before or not any(self._waiting.values()):
            return False
        self._begin(self._next())
        return True

    def beat(self, every: float) -> None:
        """Push a heartbeat if nothing was confirmed for so long: it tells us that the server lives."""
        if not self._flight and time.monotonic() - self._confirmed_at > every:
            self._begin([(0, 0, mark(self._stamp, HEARTBEAT))])

    def end(self, partition: int) -> int:
        """The number that the next record of a partition gets; learned by a heartbeat.

        Raises:
            Stuck: the server does not confirm it.
        """
        while self._flight:
            self._settle()
        self._begin([(0, 0, mark(self._stamp, HEARTBEAT))], partition)
        while self._flight:
            self._settle()
        if self._failures:
            raise RuntimeError("The end of the stream cannot be learned: a heartbeat was refused.")
        return self.ends[partition]

    # --- a batch ---

    def _next(self) -> list[tuple[int, int, bytes]]:
        """The next records, as many as one batch may have; publishers take turns."""
        batch: list[tuple[int, int, bytes]] = []
        size = 0
        limit = 1 if self._doubtful else self._traits.batch_events
        for channel in list(self._waiting):
            own = self._waiting[channel]
            while own and len(batch) < limit:
                number, record = own[0]
                if batch and size + len(record) > self._traits.batch_bytes:
                    return batch
                own.popleft()
                batch.append((channel, number, record))
                size += len(record)
            self._waiting[channel] = self._waiting.pop(channel)  # behind the others next time
        return batch

    def _begin(self, batch: list[tuple[int, int, bytes]], partition: int | None = None) -> None:
        for channel, number, record in batch:
            metadata, data = split_record(record)
            held = metadata.decode("utf-8"), data
            try:
                future = self._push(held, self._partition(metadata) if partition is None else partition)
            except RuntimeError as error:
                self._refuse(channel, number, str(error))
            else:
                self._flight.append(Sent(channel, number, record, future, held))
        with suppress(RuntimeError):  # what fails shows in the push futures, and only there
            self._flushed = (
                self._producer.flush()
            )  # without it a partial batch stays; its wait proves nothing
        self._deadline = time.monotonic() + self._target.patience

    def _push(self, held: tuple[str, bytes], partition: int | None) -> Any:
        if partition is None:
            return self._producer.push(held[0], held[1])
        return self._producer.push(held[0], held[1], partition=partition)

    def _partition(self, metadata: bytes) -> int | None:
        """Order holds within a partition, so all of one source goes to the same one."""
        if self._partitions == 1:
            return None
        return zlib.crc32(source_of(metadata).encode()) % self._partitions

    def _settle(self) -> bool:
        """Take the confirmations that are there."""
        done = 0
        try:
            for sent in self._flight:
                number = wait(sent.future, _LOOK)
                if number is None:
                    break
                self._stored(sent, number)
                done += 1
        except RuntimeError as error:
            self._fail(done, str(error))
            return True
        self._confirm(self._flight[:done])
        del self._flight[:done]
        if self._flight and time.monotonic() > self._deadline:
            message = f"The server has confirmed nothing for {self._target.patience:g} s."
            raise Stuck(message)
        return done > 0

    def _stored(self, sent: Sent, number: int) -> None:
        partition = (self._partition(sent.held[0].encode()) or 0) if self._partitions > 1 else 0
        self.ends[partition] = max(self.ends.get(partition, 0), int(number) + 1)

    def _confirm(self, stored: list[Sent]) -> None:
        if not stored:
            return
        self._alive()
        for sent in stored:
            self._failed.pop((sent.channel, sent.number), None)
        for channel, upto in {sent.channel: sent.number for sent in stored}.items():
            if channel:
                self._give(wire.Confirmed(channel, upto))
        self._doubtful = max(0, self._doubtful - len(stored))

    def _alive(self) -> None:
        self._confirmed_at = time.monotonic()
        self._failures = 0

    # --- what fails ---

    def _fail(self, done: int, why: str) -> None:
        """The record after the first ``done`` failed: put back what may not be stored, ask for the server."""
        self._confirm(self._flight[:done])
        failed, self._flight = self._flight[done:], []
        self._await_rest(failed[1:])
        back = [sent for sent in failed if sent.channel]  # a heartbeat is not worth another try
        for sent in reversed(back):
            self._waiting[sent.channel].appendleft((sent.number, sent.record))
        if back:
            self._ask(back, why)
        else:
            self._blame_server(why)

    def _await_rest(self, rest: list[Sent]) -> None:
        """No future is dropped before it is done, as the binding may still read its buffers."""
        for sent in rest:
            try:
                while wait(sent.future, 1.0) is None:
                    if time.monotonic() > self._deadline:
                        raise Stuck("A batch failed, and the server says nothing of the rest.")
            except Stuck:
                raise
            except RuntimeError:
                continue

    def _ask(self, failed: list[Sent], why: str) -> None:
        first = failed[0]
        self._give(wire.Trouble(f"A push failed: {why or 'the server does not say why'}."))
        self._begin([(0, 0, mark(self._stamp, HEARTBEAT))])
        while self._flight:
            self._settle()
        if self._failures:
            return  # the server is to blame
        if len(failed) == 1:
            self._suspect(first, why)
        self._doubtful = len(failed)

    def _suspect(self, sent: Sent, why: str) -> None:
        key = sent.channel, sent.number
        self._failed[key] = self._failed.get(key, 0) + 1
        if self._failed[key] >= REFUSALS:
            del self._failed[key]
            self._waiting[sent.channel].popleft()
            self._refuse(*key, why)
        else:
            self._not_before = time.monotonic() + PAUSE_FIRST

    def _blame_server(self, why: str) -> None:
        if self._traits.dies:
            raise Stuck(f"The server takes nothing any more: {why or 'it does not say why'}.")
        pause = min(PAUSE_LONGEST, PAUSE_FIRST * 2 ** min(self._failures, 10))
        self._failures += 1
        self._not_before = time.monotonic() + pause

    def _refuse(self, channel: int, number: int, why: str) -> None:
        if not channel:  # a heartbeat
            self._blame_server(why)
        else:
            self._give(wire.Refused(channel, number, why or "the server refused it"))
