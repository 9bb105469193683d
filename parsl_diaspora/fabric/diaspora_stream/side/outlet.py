"""Pushing: one batch at a time, confirmed by its push futures before the next is begun."""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count, repeat
from typing import Any

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target
from parsl_diaspora.fabric.diaspora_stream.records import HEARTBEAT, mark, source_of, split_record
from parsl_diaspora.fabric.diaspora_stream.side.waits import wait
from parsl_diaspora.fabric.stamp import Stamp

PAUSE_FIRST, PAUSE_LONGEST = 0.1, 2.0
REFUSALS = 3  # of one record alone, while the server took a heartbeat, before it is given up
_LOOK = 5  # milliseconds
_BRACE = ord("{")


def partitions_of(topic: Any) -> int:
    """How many partitions a topic has."""
    partitions = topic.partitions
    return partitions if isinstance(partitions, int) else max(1, len(partitions))


class Stuck(RuntimeError):
    """The server confirms nothing any more, so the handles are given up, and this process with them."""


Entry = tuple[int, int, bytes]  # a publisher's channel, the record's number there, and the record


class Batch:
    """Records that are on their way. It holds their buffers, which the binding does not copy.

    Attributes:
        entries: the records.
        partitions: where each one goes.
        futures: of their pushes.
        held: what was pushed.
        deadline: when a server that has not confirmed it counts as dead.
    """

    __slots__ = ("deadline", "entries", "futures", "held", "partitions")

    def __init__(self, deadline: float) -> None:
        self.entries: list[Entry] = []
        self.partitions: list[int] = []
        self.futures: list[Any] = []
        self.held: list[tuple[str, bytes]] = []
        self.deadline = deadline

    def settled(self, done: int) -> None:
        """The first so many are stored."""
        for part in (self.entries, self.partitions, self.futures, self.held):
            del part[:done]


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
        self._push = self._push_one if self._partitions == 1 else self._push_into
        self._stamp = Stamp("stream")
        self._waiting: dict[int, deque[Entry]] = {}
        self._flight = Batch(0.0)
        self._flushed: Any = None
        self._not_before = self._confirmed_at = 0.0
        self._doubtful = 0  # records at the front that are tried alone
        self._failed: dict[tuple[int, int], int] = {}
        self._failures = 0
        self.ends: dict[int, int] = {}
        self._alive()

    def add(self, channel: int, first: int, records: list[bytes]) -> None:
        """Records of one publisher."""
        own = self._waiting.setdefault(channel, deque())
        own.extend(zip(repeat(channel), count(first), records))

    def is_empty(self) -> bool:
        """Whether nothing waits or is on its way."""
        return not self._flight.entries and not any(self._waiting.values())

    def step(self) -> bool:
        """Get on with the batch, or begin the next; whether there was something to do.

        Raises:
            Stuck: nothing was confirmed for too long.
        """
        if self._flight.entries:
            return self._settle()
        if time.monotonic() < self._not_before or not any(self._waiting.values()):
            return False
        self._begin(self._next())
        return True

    def beat(self, every: float) -> None:
        """Push a heartbeat if nothing was confirmed for so long: it tells us that the server lives."""
        if not self._flight.entries and time.monotonic() - self._confirmed_at > every:
            self._begin([(0, 0, mark(self._stamp, HEARTBEAT))])

    def end(self, partition: int) -> int:
        """The number that the next record of a partition gets; learned by a heartbeat.

        Raises:
            Stuck: the server does not confirm it.
        """
        while self._flight.entries:
            self._settle()
        self._begin([(0, 0, mark(self._stamp, HEARTBEAT))], partition)
        while self._flight.entries:
            self._settle()
        if self._failures:
            raise RuntimeError("The end of the stream cannot be learned: a heartbeat was refused.")
        return self.ends[partition]

    # --- a batch ---

    def _next(self) -> list[Entry]:
        """The next records, as many as one batch may have; publishers take turns."""
        batch: list[Entry] = []
        size = 0
        limit = 1 if self._doubtful else self._traits.batch_events
        for channel in list(self._waiting):
            own = self._waiting[channel]
            while own and len(batch) < limit:
                size += len(own[0][2])
                if batch and size > self._traits.batch_bytes:
                    return batch
                batch.append(own.popleft())
            self._waiting[channel] = self._waiting.pop(channel)  # behind the others next time
        return batch

    def _begin(self, entries: list[Entry], partition: int | None = None) -> None:
        self._flight = flight = Batch(time.monotonic() + self._target.patience)
        for entry in entries:
            metadata, data = _parts(entry[2])
            into = self._partition(metadata) if partition is None else partition
            held = metadata.decode(), data
            try:
                future = self._push(*held, into)
            except RuntimeError as error:
                self._refuse(entry[0], entry[1], str(error))
                continue
            flight.entries.append(entry)
            flight.partitions.append(into)
            flight.futures.append(future)
            flight.held.append(held)
        with suppress(RuntimeError):  # what fails shows in the push futures, and only there
            self._flushed = (
                self._producer.flush()
            )  # without it a partial batch stays; its wait proves nothing

    def _push_one(self, metadata: str, data: bytes, _: int) -> Any:
        return self._producer.push(metadata, data)

    def _push_into(self, metadata: str, data: bytes, partition: int) -> Any:
        return self._producer.push(metadata, data, partition=partition)

    def _partition(self, metadata: bytes) -> int:
        """Order holds within a partition, so all of one source goes to the same one."""
        if self._partitions == 1:
            return 0
        return zlib.crc32(source_of(metadata).encode()) % self._partitions

    def _settle(self) -> bool:
        """Take the confirmations that are there."""
        flight, done = self._flight, 0
        try:
            for future in flight.futures:
                number = future.wait(timeout_ms=_LOOK)
                if number is None:
                    break
                self.ends[flight.partitions[done]] = number + 1
                done += 1
        except RuntimeError as error:
            self._fail(done, str(error))
            return True
        self._confirm(done)
        if flight.entries and time.monotonic() > flight.deadline:
            raise Stuck(f"The server has confirmed nothing for {self._target.patience:g} s.")
        return done > 0

    def _confirm(self, done: int) -> None:
        """The first so many records of the batch are stored."""
        if not done:
            return
        self._alive()
        stored = self._flight.entries[:done]
        self._flight.settled(done)
        if self._failed:
            for channel, number, _ in stored:
                self._failed.pop((channel, number), None)
        for channel, upto in {entry[0]: entry[1] for entry in stored}.items():
            if channel:
                self._give(wire.Confirmed(channel, upto))
        self._doubtful = max(0, self._doubtful - done)

    def _alive(self) -> None:
        self._confirmed_at = time.monotonic()
        self._failures = 0

    # --- what fails ---

    def _fail(self, done: int, why: str) -> None:
        """The record after the first ``done`` failed: put back what may not be stored, ask for the server."""
        self._confirm(done)
        flight, self._flight = self._flight, Batch(0.0)
        self._await_rest(flight)
        back = [entry for entry in flight.entries if entry[0]]  # a heartbeat is not worth another try
        for entry in reversed(back):
            self._waiting[entry[0]].appendleft(entry)
        if back:
            self._ask(back, why)
        else:
            self._blame_server(why)

    def _await_rest(self, flight: Batch) -> None:
        """No future is dropped before it is done, as the binding may still read its buffers."""
        for future in flight.futures[1:]:
            with suppress(RuntimeError):
                while wait(future, 1.0) is None and time.monotonic() < flight.deadline:
                    pass
        if time.monotonic() > flight.deadline:
            raise Stuck("A batch failed, and the server says nothing of its rest.")

    def _ask(self, failed: list[Entry], why: str) -> None:
        self._give(wire.Trouble(f"A push failed: {why or 'the server does not say why'}."))
        self._begin([(0, 0, mark(self._stamp, HEARTBEAT))])
        while self._flight.entries:
            self._settle()
        if self._failures:
            return  # the server is to blame
        if len(failed) == 1:
            self._suspect(failed[0], why)
        self._doubtful = len(failed)

    def _suspect(self, entry: Entry, why: str) -> None:
        channel, number, _ = entry
        self._failed[channel, number] = self._failed.get((channel, number), 0) + 1
        if self._failed[channel, number] >= REFUSALS:
            del self._failed[channel, number]
            self._waiting[channel].popleft()
            self._refuse(channel, number, why)
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


def _parts(record: bytes) -> tuple[bytes, bytes]:
    return (record, b"") if record[0] == _BRACE else split_record(record)
