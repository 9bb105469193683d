"""From the callers to the client: events wait here until the cluster has acknowledged them."""

from __future__ import annotations

import atexit
import time

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.kafka.clients import Client
from parsl_diaspora.fabric.kafka.delivery import FIRST_CONTACT, Delivery
from parsl_diaspora.fabric.kafka.layout import Record, record_of
from parsl_diaspora.fabric.kafka.url import KafkaUrl
from parsl_diaspora.fabric.protocols import FlushReport

MAX_VALUE = 900_000  # bytes of one event: with its key and headers it is within what servers take by default
HAND_OVER = 0.5  # seconds that an immediate publish waits for the cluster
_GRACE = 0.5  # seconds beyond close's timeout for the thread to give up what waits


class KafkaPublisher(Delivery):
    """Encodes in the caller and hands over to the client there; a thread of ours hears what became of it.

    Until the client is connected, or while it holds all that it may, events wait in a queue of ours. An
    event is safe when the cluster has acknowledged it. A forked child gets a life, a thread and a client of
    its own.

    Args:
        url: of the fabric.
        client: makes senders.
        source: who speaks.
        buffer: events that may wait.
        immediate: wait a little in `publish` for the cluster, unless it was found to be away.
    """

    _hand_over_time = HAND_OVER

    def __init__(self, url: KafkaUrl, client: Client, source: str, buffer: int, immediate: bool) -> None:
        self._url = url
        self._client = client
        self._source = source
        self._buffer = buffer
        self._immediate = immediate
        self._at_exit = self.close  # one object, to be found again: each look at a method makes a new one
        self.begin_life()
        renew_after_fork(self)
        if immediate:
            self._start()
            self._in_touch.wait(FIRST_CONTACT)

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a client and counters of its own: at first, and in a forked child."""
        self._begin(closed=closed)
        self._patience = HAND_OVER if self._immediate else 0.0

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait until the cluster has acknowledged the events published so far."""
        self._wait(timeout)
        return self.report()

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what the cluster does not acknowledge in time is counted as lost."""
        deadline = time.monotonic() + timeout
        if not self._closing.is_set():
            self._wait(timeout)
            with self._lock:
                self._say_losses()
                self._closing.set()
            self._wait(deadline - time.monotonic())
            self._end.set()
            self._bell.set()
            if self._thread is not None:
                self._thread.join(max(0.0, deadline - time.monotonic()) + _GRACE)
                atexit.unregister(self._at_exit)
            self._give_up()
        return self.report()

    # --- callers, who hold the lock ---

    def _encode(self, event: Event) -> Record:
        record = record_of(event, self._url.stem, f"{self._stamp.boot}-{self._accepted + 1}")
        if len(record.value) > MAX_VALUE:
            size = len(record.value)
            raise EventError(f"An event of kind {event.kind!r} has {size} bytes, more than {MAX_VALUE}.")
        return record

    def _put(self, record: Record) -> None:
        self._accepted += 1
        self._accepted_bytes += len(record.value)
        sender = self._sender
        waits = self._waiting or self._alone or self._solo
        if sender is None or waits or not sender.direct or not self._hand(sender, record):
            self._waiting.append(record)
            self._bell.set()
            self._start()
