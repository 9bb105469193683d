"""Publishing into the embedded log in the caller's thread, for processes that may be killed at any moment."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, encode
from parsl_diaspora.fabric.file import large
from parsl_diaspora.fabric.file.options import DEFAULTS, FileOptions
from parsl_diaspora.fabric.file.segment import open_writer
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.losses import CLOSED, UNWRITABLE, Losses, encode_within
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.stamp import Stamp

logger = logging.getLogger(__name__)


class ImmediatePublisher:
    """Writes each event in the caller's thread, before `publish` returns: for workers, which may be killed.

    An event that cannot be written is counted and forgotten; the count is written with the next event that
    can be.

    Args:
        directory: of the log.
        source: who speaks.
        options: of the log.
    """

    def __init__(self, directory: Path, source: str, options: FileOptions = DEFAULTS) -> None:
        self._directory = directory
        self._options = options
        self._urgent = options.synced_at_once
        self._source = source
        self.begin_life()
        renew_after_fork(self)

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a segment and counters of its own: at first, and in a forked child."""
        self._stamp = Stamp(self._source)
        self._writer = open_writer(self._directory, self._stamp.boot, self._options)
        self._lock = threading.Lock()
        self._losses = Losses()
        self._safe = 0
        self._said = False
        self.closed = closed

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._source

    def publish(self, event: Event) -> None:
        """Stamp, encode and write the event."""
        with self._lock:
            if self.closed:
                self._losses.add(self._stamp.sign(event), CLOSED)
            elif not self._take(self._stamp(event)):
                self._stamp.take_back(event)
                self._say_losses()

    def forward(self, event: Event) -> None:
        """Write an event that another source has stamped."""
        with self._lock:
            if self.closed:
                self._losses.add(event, CLOSED)
            elif not self._take(event):
                self._say_losses()

    def _take(self, event: Event) -> bool:
        """Write the event if that can be done; whether it took its number."""
        try:
            data = encode_within(event, large.LARGEST)
        except EventError as error:
            self._losses.add(event, error.message)
            return False
        written = self._write([data], urgent=event.topic in self._urgent)
        if not written:
            self._losses.add(event, UNWRITABLE)
        return written

    def _write(self, batch: list[bytes], *, urgent: bool = False) -> bool:
        """Write events, and what is still to be said of lost ones, as one frame; whether it worked."""
        seq, said = self._stamp.seq, self._losses.say()
        if said:
            batch.extend([encode(self._stamp(loss)) for loss in said])
        try:
            self._writer.append(batch, self._safe + 1, self._stamp.last)
        except OSError as error:
            self._stamp.seq = seq
            self._losses.unsay(said)
            self._warn(error)
            return False
        self._safe += len(batch)
        if urgent:
            with suppress(OSError):  # which is said, and counted: the event is safe, but not synced
                self._writer.sync()
        return True

    def _warn(self, error: OSError) -> None:
        if not self._said:
            self._said = True
            why = error.strerror or error
            logger.warning("The event log %s cannot be written (%s).", self._directory, why)

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """All that could be written is written; wait for it to be on the disk if that is declared."""
        if timeout > 0:
            self._writer.wait_synced(timeout)
        return FlushReport(safe=self._safe, waiting=0, lost=self._losses.total, synced=self._writer.synced)

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Close the segment."""
        with self._lock:
            if not self.closed:
                self._say_losses()
                self.closed = True
                self._writer.wait_synced(timeout)
                self._close_writer()
        return self.flush(0.0)

    def _say_losses(self) -> None:
        if self._losses:
            self._write([])

    def _close_writer(self) -> None:
        try:
            self._writer.close()
        except OSError as error:
            self._warn(error)
