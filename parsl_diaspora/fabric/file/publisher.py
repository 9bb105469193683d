"""Publishing into the embedded log: through a thread of the publisher's own, or at once."""

from __future__ import annotations

import logging
import os
import queue
import threading
import weakref
from pathlib import Path

from parsl_diaspora.events import Event, EventsLost, encode
from parsl_diaspora.fabric.file.frames import TARGET_BODY
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.stamp import Stamp

logger = logging.getLogger(__name__)

MAX_EVENT = 256 * 1024
RETRY_FIRST, RETRY_LONGEST = 0.05, 2.0


def _renew_after_fork(publisher: FilePublisher | ImmediatePublisher) -> None:
    """Give a forked child a life of its own: it must never write its parent's segment."""
    reference = weakref.ref(publisher)

    def renew() -> None:
        if (alive := reference()) is not None:
            alive._begin_life()

    os.register_at_fork(after_in_child=renew)


class FilePublisher:
    """Encodes in the caller, writes in a thread, keeps a bounded number of events in between.

    While the directory cannot be written the events wait and the write is tried again. When more than
    ``buffer`` wait, the newest are counted as lost; the count is published as an event as soon as the log
    can be written. A forked child gets a life, a thread and a segment of its own.
    """

    def __init__(self, directory: Path, source: str, buffer: int) -> None:
        self._directory = directory
        self._source = source
        self._buffer = buffer
        self._begin_life()
        _renew_after_fork(self)

    def _begin_life(self) -> None:
        self._stamp = Stamp(self._source)
        self._writer = SegmentWriter(self._directory, self._stamp.boot)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._written = threading.Condition()
        self._accepted = self._safe = self._given_up = self._refused = self._reported = 0
        self._first_seq = 1
        self._said = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._source

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event."""
        with self._lock:
            if self._queue.qsize() >= self._buffer or self._closing.is_set():
                self._refused += 1
                return
            self._enqueue(event)

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped."""
        with self._lock:
            if self._queue.qsize() >= self._buffer or self._closing.is_set():
                self._refused += 1
            else:
                self._put(encode(event))

    def _enqueue(self, event: Event) -> None:
        data = encode(self._stamp(event))
        if len(data) > MAX_EVENT:
            self._stamp.seq -= 1
            self._refused += 1
            return
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._accepted += 1
        self._queue.put(data)
        if self._thread is None:
            name = f"diaspora-publisher-{self._stamp.boot[:4]}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait for the events published so far to be written: a kill of this process no longer loses them."""
        target = self._accepted
        with self._written:
            self._written.wait_for(lambda: self._safe >= target, timeout)
        return self.report()

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what cannot be written in time is counted as lost."""
        if not self._closing.is_set():
            self.flush(timeout)
            with self._lock:
                self._closing.set()
                self._queue.put(None)
            if self._thread is not None:
                self._thread.join(timeout)
        return self.report()

    def report(self) -> FlushReport:
        """What became of the events so far."""
        waiting = self._accepted - self._safe - self._given_up
        return FlushReport(safe=self._safe, waiting=waiting, lost=self._refused + self._given_up)

    def _run(self) -> None:
        try:
            while (batch := self._next_batch()) is not None:
                self._write(batch)
                self._say_losses()
        except Exception:
            logger.exception(
                "The event publisher's thread ended; %d events are unwritten.", self._queue.qsize()
            )
        finally:
            self._sync()
            self._writer.close()

    def _sync(self) -> None:
        try:
            self._writer.sync()
        except OSError as error:
            logger.warning("The event log %s could not be synced to disk (%s).", self._directory, error)

    def _next_batch(self) -> list[bytes] | None:
        first = self._queue.get()
        if first is None:
            return None
        batch, size = [first], len(first)
        while size < TARGET_BODY:
            try:
                data = self._queue.get_nowait()
            except queue.Empty:
                break
            if data is None:
                self._queue.put(None)
                break
            batch.append(data)
            size += len(data)
        return batch

    def _write(self, batch: list[bytes]) -> None:
        delay = RETRY_FIRST
        while not self._try_write(batch):
            if self._closing.wait(delay):
                self._given_up += len(batch)
                return
            delay = min(2 * delay, RETRY_LONGEST)
        with self._written:
            self._first_seq += len(batch)
            self._safe += len(batch)
            self._written.notify_all()

    def _try_write(self, batch: list[bytes]) -> bool:
        try:
            self._writer.append(batch, self._first_seq)
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

    def _say_losses(self) -> None:
        with self._lock:
            count, self._reported = self._refused - self._reported, self._refused
            if count:
                self._enqueue(EventsLost(count=count, why="the publisher's buffer was full"))


class ImmediatePublisher:
    """Writes each event in the caller's thread, before `publish` returns: for workers, which may be killed.

    An event that cannot be written is counted, said once, and forgotten.
    """

    def __init__(self, directory: Path, source: str) -> None:
        self._directory = directory
        self._source = source
        self._begin_life()
        _renew_after_fork(self)

    def _begin_life(self) -> None:
        self._stamp = Stamp(self._source)
        self._writer = SegmentWriter(self._directory, self._stamp.boot)
        self._lock = threading.Lock()
        self._lost = 0

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._source

    def publish(self, event: Event) -> None:
        """Stamp, encode and write the event."""
        with self._lock:
            self._write(encode(self._stamp(event)))

    def forward(self, event: Event) -> None:
        """Write an event that another source has stamped."""
        with self._lock:
            self._write(encode(event))

    def _write(self, data: bytes) -> None:
        try:
            self._writer.append((data,), self._stamp.seq)
        except OSError as error:
            self._count_loss(error)

    def _count_loss(self, error: OSError) -> None:
        if not self._lost:
            logger.warning("The event log %s cannot be written (%s).", self._directory, error)
        self._lost += 1

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """All that could be written is written."""
        del timeout
        return FlushReport(safe=self._stamp.seq - self._lost, waiting=0, lost=self._lost)

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Close the segment."""
        report = self.flush(timeout)
        self._writer.close()
        return report
