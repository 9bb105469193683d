"""Pulling: exactly one pull is pending for each consumer and partition, and none is ever dropped."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Traits
from parsl_diaspora.fabric.diaspora_stream.records import ENDED, Read, read_record
from parsl_diaspora.fabric.diaspora_stream.side.waits import look

AT_ONCE = 256  # pulls in one round


class Source:
    """One consumer of the binding, bound to one partition.

    Ids of a partition have no gaps, so a first id beyond the wanted one shows that the server's cursor for
    this name is further on than ours; then a fresh name, which begins at 0, reads what is between.

    Args:
        topic: the topic's handle.
        name: of the consumer.
        partition: its number.
        traits: of the driver.
        wanted: the id to begin with; None where the server's cursor, or 0, decides.
        start: events that say an earlier time are passed over, until one does not.
    """

    _kept: list[Any] = []  # noqa: RUF012 - of the process: dropping a consumer may abort it

    def __init__(
        self, topic: Any, name: str, partition: int, traits: Traits, *, wanted: int | None, start: float
    ) -> None:
        self._topic, self._name, self._traits = topic, name, traits
        self.partition = partition
        self._strict = wanted is not None
        self.next = wanted or 0
        self._start = start
        self._pull: Any = None
        self._last: Any = None
        self._ended = False
        self._idle = True
        self._checkpoints: deque[tuple[int, Any]] = deque()
        self._open(name)

    def _open(self, name: str) -> None:
        options: dict[str, Any] = {"batch_size": self._traits.pull_batch, "max_num_batches": 2}
        if self._traits.targets:
            options["targets"] = [self.partition]
        self._consumer = self._topic.consumer(name, **options)
        self._kept.append(self._consumer)

    def take(self, *, patient: bool) -> wire.Item | None:
        """The next record that is there; None if there is none, or it is one that was there before."""
        event = self._pulled(patient)
        if event is None:
            return None
        if event.event_id is None:
            self._ended = True  # a stream that ends has one marker without a number
            return wire.Item(self.partition, self.next, "", None, ENDED)
        number = int(event.event_id)
        if number > self.next and self._strict:
            self._start_over()
            return None
        self._strict = False
        if number < self.next:
            return None
        self.next = number + 1
        self._last = event
        return self._item(number, event)

    def is_idle(self) -> bool:
        """Whether the last look found nothing."""
        return self._idle

    def checkpoint(self) -> None:
        """Remember the last event, for acknowledging it when it is committed."""
        if self._traits.acknowledges and (not self._checkpoints or self._checkpoints[-1][0] < self.next):
            self._checkpoints.append((self.next, self._last))

    def acknowledge(self, position: int) -> None:
        """Acknowledge what is behind a committed position. It only goes forward."""
        last = None
        while self._checkpoints and self._checkpoints[0][0] <= position:
            last = self._checkpoints.popleft()[1]
        if last is not None:
            last.acknowledge()

    def _pulled(self, patient: bool) -> Any:
        self._idle = True
        if self._ended:
            return None
        if self._pull is None:
            self._pull = self._consumer.pull()
        event, spent = look(self._pull, patient=patient)
        if spent:
            self._pull = None
        self._idle = event is None
        return event

    def _start_over(self) -> None:
        if self._pull is not None:
            self._kept.append(self._pull)
            self._pull = None
        self._open(f"{self._name}.{secrets.token_hex(4)}")
        self._strict = False

    def _item(self, number: int, event: Any) -> wire.Item:
        read = read_record(event.metadata, b"".join(bytes(part) for part in event.data))
        text = read.text
        if text is not None and self._is_early(read):
            read, text = Read(mark="early"), None
        return wire.Item(self.partition, number, read.id, text, read.mark, len(text or b""))

    def _is_early(self, read: Read) -> bool:
        if read.time < self._start:
            return True
        self._start = float("-inf")
        return False


class Inlet:
    """One consumer of the program, with a source for each partition.

    Args:
        channel: its number.
        sources: one for each partition.
        give: sends an answer to the program.
        ends: number behind the last record that is known, for each partition.
    """

    def __init__(
        self,
        channel: int,
        sources: list[Source],
        give: Callable[[wire.ToProgram], None],
        ends: dict[int, int],
    ) -> None:
        self._channel = channel
        self._sources = sources
        self._give = give
        self._ends = ends
        self._items = self._bytes = 0
        self._credited = False
        self._told_at = self._told = 0.0
        self.left = False

    @property
    def position(self) -> dict[str, int]:
        """The next number of each partition."""
        return {str(source.partition): source.next for source in self._sources}

    @property
    def is_starved(self) -> bool:
        """Whether the program has taken too little for more to be sent."""
        return self._credited and (self._items <= 0 or self._bytes <= 0)

    def credit(self, items: int, size: int) -> None:
        """So much more may be sent."""
        self._credited = True
        self._items += items
        self._bytes += size

    def commit(self, position: dict[str, int]) -> None:
        """The program has kept this position.

        Raises:
            RuntimeError: the server cannot keep it as well.
        """
        for source in self._sources:
            source.acknowledge(position.get(str(source.partition), 0))

    def step(self, *, patient: bool) -> bool:
        """Send what is there, for which a patient look may wait a little; whether there was something."""
        if self.left:
            return False
        items: list[wire.Item] = []
        busy = False
        for source in self._sources:
            busy |= self._drain(source, items, patient)
        if items:
            self._give(wire.Arrived(self._channel, items))
        self._tell_behind()
        return busy

    def _drain(self, source: Source, items: list[wire.Item], patient: bool) -> bool:
        before = len(items)
        seen = 0
        for seen in itertools.count():
            if seen >= AT_ONCE or self._items <= 0 or self._bytes <= 0:
                break
            item = source.take(patient=patient)
            if item is not None:
                items.append(item)
                self._items -= 1
                self._bytes -= item.size
            elif source.is_idle():
                break
        if len(items) > before:
            source.checkpoint()
        return seen > 0

    def _tell_behind(self) -> None:
        """What the program cannot have yet, because it has not polled what it has."""
        behind = 0
        if self.is_starved:
            behind = sum(max(0, self._ends.get(s.partition, 0) - s.next) for s in self._sources)
        if behind != self._told and (not behind or time.monotonic() - self._told_at > 1.0):
            self._told, self._told_at = behind, time.monotonic()
            self._give(wire.Behind(self._channel, behind))
