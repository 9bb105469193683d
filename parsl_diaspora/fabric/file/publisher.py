"""Publishing into the embedded log through a thread of the publisher's own."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.callers import CallersSide
from parsl_diaspora.fabric.file import large
from parsl_diaspora.fabric.file.frames import in_batches
from parsl_diaspora.fabric.file.options import DEFAULTS, FileOptions
from parsl_diaspora.fabric.file.retention import Retention
from parsl_diaspora.fabric.file.segment import SegmentWriter, open_writer
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.protocols import FlushReport

logger = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024  # of one write: each makes this thread wait for the interpreter again
RETRY_FIRST, RETRY_LONGEST = 0.05, 2.0
_GRACE = 0.5  # seconds beyond close's timeout for the thread to give up what waits


class FilePublisher(CallersSide):
    """Encodes in the caller, writes in a thread, keeps a bounded number of events and bytes in between.

    While the directory cannot be written the events wait and the write is tried again. When more than
    ``buffer`` wait, the newest are counted as lost; the count is published as an event as soon as the log
    can be written. A forked child gets a life, a thread and a segment of its own.

    Args:
        directory: of the log.
        source: who speaks.
        buffer: events kept in memory.
        options: of the log; this publisher also deletes what they do not keep.
    """

    _largest = large.LARGEST

    def __init__(self, directory: Path, source: str, buffer: int, options: FileOptions = DEFAULTS) -> None:
        self._directory = directory
        self._options = options
        self._urgent = options.synced_at_once
        self._batch_bytes = min(BATCH_BYTES, options.roll_bytes)
        self._source = source
        self._buffer = buffer
        self._at_exit = self.close  # one object, to be found again: each look at a method makes a new one
        self.begin_life()
        renew_after_fork(self)

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a segment and counters of its own: at first, and in a forked child."""
        self._open(self._source, self._buffer)
        self._writer = self._open_writer()
        self._retention = Retention(self._directory, self._options)
        self._waiting: list[bytes] = []  # changed by whoever holds the lock
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._said = False
        if closed:
            self._closing.set()
        self._thread: threading.Thread | None = None

    def _open_writer(self) -> SegmentWriter:
        return open_writer(self._directory, self._stamp.boot, self._options)

    def publish_all(self, events: Sequence[Event]) -> None:
        """As `publish` of each, in less time."""
        if not self._publish_at_once(events):
            for event in events:
                self.publish(event)

    def _put(self, data: bytes) -> None:
        self._put_all((data,))

    def _put_all(self, encoded: Sequence[bytes]) -> None:
        self._accepted += len(encoded)
        self._accepted_bytes += sum(map(len, encoded))
        self._waiting.extend(encoded)
        if len(self._waiting) == len(encoded):
            self._bell.put(None)  # once for all that comes before the thread looks
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        name = f"diaspora-publisher-{self._stamp.boot[:4]}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give; the next event tries again
            logger.warning("Events for %s wait: %s.", self._directory, error)
        else:
            self._thread = thread
            atexit.register(self._at_exit)  # a program that ends without a close loses nothing, either

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait for the events published so far to be written, and to be on the disk if that is declared."""
        deadline = time.monotonic() + timeout
        self._wait(timeout)
        if (left := deadline - time.monotonic()) > 0:
            self._writer.wait_synced(left)
        return self.report()

    def report(self) -> FlushReport:
        """What became of the events so far."""
        return structs.replace(super().report(), synced=self._writer.synced)

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what cannot be written in time is counted as lost."""
        deadline = time.monotonic() + timeout
        if not self._closing.is_set():
            self.flush(timeout)
            with self._lock:
                self._say_losses()
                self._closing.set()
                self._bell.put(None)
            if self._thread is not None:
                self._thread.join(max(0.0, deadline - time.monotonic()) + _GRACE)
                atexit.unregister(self._at_exit)
        return self.report()

    def _run(self) -> None:
        try:
            while waiting := self._next():
                for batch in in_batches(waiting, self._batch_bytes):
                    self._settle(batch, written=self._write(batch))
                with self._settled:
                    self._settled.notify_all()  # not for each batch: whoever waits would take turns with us
        except Exception:
            left = self._accepted - self._safe - self._given_up
            logger.exception("The event publisher's thread ended; %d events are unwritten.", left)
        finally:
            self._end()

    def _end(self) -> None:
        with suppress(OSError):  # which is counted and said
            if self._options.synced_soon:
                self._writer.sync()
            self._writer.close()

    def _next(self) -> list[bytes]:
        """All that waits, as soon as something does; nothing if the publisher was closed."""
        while True:
            self._bell.get()
            with self._lock:
                waiting, self._waiting = self._waiting, []
            if waiting or self._closing.is_set():
                return waiting

    def _write(self, batch: list[bytes]) -> bool:
        delay = RETRY_FIRST
        while not self._try_write(batch):
            if self._closing.wait(delay):
                return False
            delay = min(2 * delay, RETRY_LONGEST)
        return True

    def _try_write(self, batch: list[bytes]) -> bool:
        try:
            self._writer.append(batch, self._safe + 1, self._stamp.last)
            if self._urgent_until > self._safe:
                self._writer.sync()
        except OSError as error:
            if not self._said:
                self._said = True
                logger.warning(
                    "The event log %s cannot be written (%s); events wait in memory, the program goes on.",
                    self._directory,
                    error.strerror or error,
                )
            return False
        return True

    def _settle(self, batch: list[bytes], *, written: bool) -> None:
        with self._settled:
            self._settled_bytes += sum(map(len, batch))
            if written:
                self._safe += len(batch)
            else:
                self._given_up += len(batch)
        if written and self._losses:
            with self._lock:
                if not self._closing.is_set():
                    self._say_losses()
        if self._retention.is_due(self._writer.rolls):
            self._retention.apply(self.publish)
