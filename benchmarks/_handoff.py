"""The hand-over that the embedded log's publisher has, in front of other stores."""

from __future__ import annotations

import queue
import threading

from _candidates import Writer

from parsl_diaspora.events import Event, encode
from parsl_diaspora.fabric.file.frames import TARGET_BODY
from parsl_diaspora.fabric.stamp import Stamp


class HandOff:
    """Encodes in the caller, queues, and appends in a thread what has gathered meanwhile."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._stamp = Stamp("benchmark")
        self._lock = threading.Lock()
        self._accepted = self._safe = 0
        self._written = threading.Condition()
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hand-off", daemon=True)
        self._thread.start()

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue."""
        with self._lock:
            self._stamp(event)
            self._accepted += 1
            self._queue.put(encode(event))

    def flush(self, timeout: float = 5.0) -> None:
        """Wait for what was published so far.

        Raises:
            TimeoutError: it was not written in time.
        """
        with self._written:
            if not self._written.wait_for(lambda: self._safe >= self._accepted, timeout):
                raise TimeoutError

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, and stop."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while batch := self._next_batch():
            self._writer.append(batch)
            with self._written:
                self._safe += len(batch)
                self._written.notify_all()
        self._writer.close()

    def _next_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        try:
            while size < TARGET_BODY:
                data = self._queue.get(block=not batch)
                if data is None:
                    if batch:
                        self._queue.put(None)
                    break
                batch.append(data)
                size += len(data)
        except queue.Empty:
            pass
        return batch
