"""Reading from the stream: events wait here, in bounded number, until they are polled."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from parsl_diaspora.errors import EventError, FabricError, FabricUnavailable
from parsl_diaspora.events import Event, decode
from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target, TopicSpec
from parsl_diaspora.fabric.diaspora_stream.link import join_link
from parsl_diaspora.fabric.diaspora_stream.recent import Recent
from parsl_diaspora.fabric.diaspora_stream.records import ENDED
from parsl_diaspora.fabric.file.positions import keep_positions, read_positions

ITEMS, BYTES = 10_000, 16 * 1024 * 1024  # that may wait here
_PORTION = 10  # parts of it that are given back at a time


class StreamConsumer:
    """Reads one topic under one name. Its position is kept in a file here, as the server forgets it.

    Args:
        target: where events come from.
        topic: in it.
        name: of the consumer, also at the server.
        positions: the file.
        url: for errors.
        start: where to begin if nothing is kept: a time, minus or plus infinity, or a position.

    Raises:
        FabricUnavailable: the stream cannot be read now.

    Attributes:
        ended: boots of the writers that have said that they end.
    """

    channel: int
    reads = True

    def __init__(
        self,
        target: Target,
        topic: TopicSpec,
        name: str,
        positions: Path,
        *,
        url: str,
        start: float | dict[str, int],
    ) -> None:
        self._target, self._topic, self._url = target, topic, url
        self._name, self._kept_in = name, positions
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._items: deque[wire.Item] = deque()
        self._recent = Recent()
        self._orders: deque[wire.ToSide] = deque()
        self._opened, self._why, self._closed = False, "", False
        self._waiting = self._behind = self._skipped = 0
        self._taken = self._taken_bytes = 0
        self.ended: set[str] = set()
        kept = read_positions(positions)
        self._start = start if isinstance(start, float) and kept is None else float("-inf")
        self._received = (start if isinstance(start, dict) else None) if kept is None else kept
        self._position = dict(self._received or {})
        self._link = join_link(target, self)
        self._open()

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, each once as far as duplicates are near one another.

        Raises:
            FabricUnavailable: the stream cannot be read, and has not been readable for the target's patience.
            FabricError: the consumer was opened before this process was forked.
        """
        self._refuse_after_fork()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting > 0 or self._closed, timeout)
            events = self._take(limit)
        if not events and (down := self._link.down_for()) > self._target.patience:
            message = f"The stream has not been readable for {down:.0f} s: {self._link.why}"
            raise FabricUnavailable(message, url=self._url, hint="Is the server running?")
        return events

    def commit(self) -> None:
        """Keep the position by atomic rename, then tell the server, whose own is lost when it restarts.

        Raises:
            FabricUnavailable: it cannot be written.
        """
        self._refuse_after_fork()
        position = dict(self._position)
        try:
            keep_positions(self._kept_in, position)
        except OSError as error:
            message = f"A consumer's position cannot be kept in {self._kept_in}: {error.strerror}."
            hint = "Name another place with positions=DIR."
            raise FabricUnavailable(message, url=self._url, hint=hint) from error
        if self._target.traits.acknowledges and position:
            self._order(wire.Commit(self.channel, position))

    def position(self) -> dict[str, int]:
        """The number of the next record to be polled, for each partition."""
        return dict(self._position)

    def lag(self) -> int:
        """Events not yet polled. More than 10,000 are counted in records, as they were a second ago."""
        return self._waiting + self._behind

    def skipped(self) -> int:
        """Records of somebody else that were passed over, and stretches that had gone."""
        return self._skipped

    def close(self) -> None:
        """Stop reading."""
        if not self._closed and self._pid == os.getpid():
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._link.part(self, wire.Leave(self.channel))

    def _refuse_after_fork(self) -> None:
        if self._pid != os.getpid():
            message = f"Consumer {self._name!r} was opened before this process was forked."
            raise FabricError(message, url=self._url, hint="Open another one in the child.")

    def _open(self) -> None:
        """Wait until the stream is open: where ``latest`` is must be known before anything else is said."""
        failures = self._link.failures
        deadline = time.monotonic() + self._target.patience
        with self._changed:
            while not (self._opened or self._why):
                if self._link.failures > failures or time.monotonic() > deadline:
                    break
                self._changed.wait(0.05)
        if not self._opened:
            self.close()
            why = self._why or self._link.why or f"it has not answered for {self._target.patience:g} s"
            hint = "" if self._why else "Is the server running?"
            message = f"The stream cannot be opened: {why.rstrip('.')}."
            raise FabricUnavailable(message, url=self._url, hint=hint)

    def _order(self, message: wire.ToSide) -> None:
        self._orders.append(message)
        self._link.ring(hurry=True)

    # --- with the lock held ---

    def _take(self, limit: int) -> list[Event]:
        events: list[Event] = []
        while self._items and (len(events) < limit or self._items[0].text is None):
            item = self._items.popleft()
            self._pass(item)
            if item.text is not None:
                self._waiting -= 1
                events.extend(self._decoded(item.text))
        self._give_credit()
        return events

    def _pass(self, item: wire.Item) -> None:
        """It is behind the position now, and its room is free."""
        self._position[str(item.partition)] = item.number + 1
        self._taken += 1
        self._taken_bytes += item.size

    def _give_credit(self) -> None:
        if self._taken > ITEMS // _PORTION or self._taken_bytes > BYTES // _PORTION:
            self._order(wire.Credit(self.channel, self._taken, self._taken_bytes))
            self._taken = self._taken_bytes = 0

    def _decoded(self, text: bytes) -> list[Event]:
        try:
            return [decode(text, "json")]
        except EventError:
            self._skipped += 1
            return []

    # --- the link's threads ---

    def orders(self) -> Iterator[wire.ToSide]:
        """What is to be sent now."""
        while self._orders:
            yield self._orders.popleft()

    def begin_again(self) -> None:
        """A new process goes on behind what was received."""
        with self._changed:
            self._orders.clear()
            self._behind = 0
            here = sum(item.size for item in self._items)
            self._taken = self._taken_bytes = 0
            self._orders.append(wire.Join(self.channel, self._topic))
            self._orders.append(wire.Follow(self.channel, self._name, self._received, self._start))
            room = max(0, ITEMS - len(self._items)), max(0, BYTES - here)
            self._orders.append(wire.Credit(self.channel, *room))

    def heard(self, message: wire.ToProgram) -> None:
        """Something arrived."""
        with self._changed:
            if isinstance(message, wire.Arrived):
                self._arrived(message.items)
            elif isinstance(message, wire.Opened):
                self._are_at(message.position)
            elif isinstance(message, wire.Failed):
                self._why = message.why
            elif isinstance(message, wire.Behind):
                self._behind = message.count
            self._changed.notify_all()

    def _are_at(self, position: dict[str, int]) -> None:
        self._opened = True
        if self._received is None and self._start == float("inf"):
            self._received = dict(position)
            self._position = {**position, **self._position}

    def _arrived(self, items: list[wire.Item]) -> None:
        received = dict(self._received or {})
        for item in items:
            received[str(item.partition)] = item.number + 1
            self._look_at(item)
            if item.text is None and not self._waiting:
                self._pass(item)  # nobody needs to poll for it
            else:
                self._items.append(item)
                self._waiting += item.text is not None
        self._received = received
        self._behind = max(0, self._behind - len(items))
        self._give_credit()

    def _look_at(self, item: wire.Item) -> None:
        if item.mark == ENDED:
            self.ended.add(item.id)
        elif item.text is None:
            self._skipped += not item.mark
        else:
            self._start = float("-inf")
            if item.id and not self._recent.add(item.id):
                item.text = None
