"""Publishing through the process that holds the binding: events wait here until the server has them."""

from __future__ import annotations

import atexit
import itertools
import logging
import time
from collections import deque
from collections.abc import Iterator

from parsl_diaspora.events import Event, EventsLost
from parsl_diaspora.fabric.callers import ImmediateSide
from parsl_diaspora.fabric.diaspora_stream import wire
from parsl_diaspora.fabric.diaspora_stream.backends import Target, TopicSpec
from parsl_diaspora.fabric.diaspora_stream.link import Link, join_link
from parsl_diaspora.fabric.diaspora_stream.records import ENDED, encode_record, mark
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.protocols import FlushReport

logger = logging.getLogger(__name__)

STORED = 0.5  # seconds that an immediate publish waits for the server to store the event
FIRST_CONTACT = 0.75  # the same for the very first one, for which the process may still be starting
_AT_ONCE, _AT_ONCE_BYTES = 4_000, 1024 * 1024  # in one message
_AHEAD, _AHEAD_BYTES = 20_000, 8 * 1024 * 1024  # sent and not confirmed


class StreamPublisher(ImmediateSide):
    """Encodes in the caller, sends in a thread, keeps a bounded number of events until they are confirmed.

    What `flush` calls safe is stored by the server. An immediate `publish` returns when that is so, or after
    0.5 s (0.75 s for the very first one); by then the process that holds the binding, which outlives a kill
    of this one, has it at least in its socket. While it is not so in time, events wait here as they do
    otherwise. A forked child gets a life, a link and a process of its own.

    Args:
        target: where events go.
        topic: in it.
        source: who speaks.
        buffer: events that may wait.
        immediate: let `publish` wait for the server, unless it was found to be away.
    """

    channel: int
    reads = False
    _hand_over_time = STORED

    def __init__(
        self, target: Target, topic: TopicSpec, source: str, *, buffer: int, immediate: bool
    ) -> None:
        self._target, self._topic, self._source = target, topic, source
        self._buffer, self._immediate = buffer, immediate
        self._at_exit = self.close
        self.begin_life()
        renew_after_fork(self)
        if immediate:
            self._connect()

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot and counters of its own: at first, and in a forked child."""
        self._open(self._source, self._buffer)
        self._link: Link | None = None
        self._unsent: deque[tuple[int, bytes]] = deque()
        self._flying: deque[tuple[int, bytes]] = deque()
        self._flying_bytes = 0
        self._joined = False
        self._numbers = itertools.count(1)
        self._patience = FIRST_CONTACT
        if closed:
            self._closing.set()

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait until the server has stored the events published so far."""
        self._wait(timeout)
        return self.report()

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what is not confirmed in time counts as lost, though it may still arrive."""
        if not self.closed:
            deadline = time.monotonic() + timeout
            self.flush(timeout)
            with self._lock:
                self._say_losses()
                self._closing.set()
            self.flush(max(0.0, deadline - time.monotonic()))
            self._depart()
            atexit.unregister(self._at_exit)
        return self.report()

    # --- callers ---

    def _encode(self, event: Event) -> bytes:
        return encode_record(event, self._target.traits.inline_bytes)

    def _put(self, data: bytes) -> None:
        self._accepted += 1
        self._accepted_bytes += len(data)
        self._unsent.append((next(self._numbers), data))
        if self._link is None:
            self._connect()
        self._ring()

    def _connect(self) -> None:
        try:
            self._link = join_link(self._target, self)
        except RuntimeError as error:  # the system has no thread to give; the next event tries again
            logger.warning("Events for topic %s wait: %s.", self._topic.name, error)
        else:
            atexit.register(self._at_exit)  # behind the link's, so that it comes first

    def _ring(self, *, hurry: bool = False) -> None:
        if (link := self._link) is not None:
            link.ring(hurry=hurry)

    def _wait(self, timeout: float) -> bool:
        self._ring(hurry=True)
        return super()._wait(timeout)

    def _depart(self) -> None:
        if self._link is not None:
            self._link.part(self, wire.Hush(self.channel, mark(self._stamp, ENDED)))
        with self._settled:
            self._given_up += self._accepted - self._met()
            self._unsent.clear()
            self._flying.clear()
            self._settled.notify_all()

    # --- the link's threads ---

    def orders(self) -> Iterator[wire.ToSide]:
        """Events that may be sent now."""
        if not self._joined:
            self._joined = True
            yield wire.Join(self.channel, self._topic)
        while self._unsent and len(self._flying) < _AHEAD and self._flying_bytes < _AHEAD_BYTES:
            batch: list[tuple[int, bytes]] = []
            size = 0
            while self._unsent and len(batch) < _AT_ONCE and size < _AT_ONCE_BYTES:
                if batch and self._unsent[0][0] != batch[-1][0] + 1:
                    break  # the one between was refused; the numbers of a message have no gap
                record = self._unsent.popleft()
                batch.append(record)
                size += len(record[1])
            if not batch:
                return
            self._flying.extend(batch)  # before it is sent: its confirmation may come at once
            self._flying_bytes += size
            yield wire.Publish(self.channel, batch[0][0], [record for _, record in batch])

    def begin_again(self) -> None:
        """Whatever is not confirmed is to be sent to a new process."""
        self._joined = False
        self._unsent.extendleft(reversed(self._flying))
        self._flying.clear()
        self._flying_bytes = 0

    def heard(self, message: wire.ToProgram) -> None:
        """Something was stored or refused."""
        if isinstance(message, wire.Confirmed):
            self._confirmed(message.upto)
        elif isinstance(message, wire.Refused):
            self._refused(message.number, message.why)

    def _confirmed(self, upto: int) -> None:
        count = size = 0
        while self._flying and self._flying[0][0] <= upto:
            size += len(self._flying.popleft()[1])
            count += 1
        self._settle(size, safe=count)

    def _refused(self, number: int, why: str) -> None:
        kept = [record for record in self._flying if record[0] != number]
        refused = [record for record in self._flying if record[0] == number]
        if not refused:
            return
        self._flying = deque(kept)
        with self._lock:
            self._losses.unsay([EventsLost(count=1, why=f"the stream refused it: {why}")])
        self._settle(len(refused[0][1]), given_up=1)

    def _settle(self, size: int, *, safe: int = 0, given_up: int = 0) -> None:
        with self._settled:
            self._flying_bytes -= size
            self._settled_bytes += size
            self._safe += safe
            self._given_up += given_up
            self._say_in_time()
            self._settled.notify_all()
        if self._unsent:
            self._ring()
