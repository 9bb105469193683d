"""What must not be done in the thread that finds it necessary: one thread does it, soon and in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

CLOSE_SECONDS = 2.0


class Errands:
    """A thread that begins with the first errand.

    Args:
        name: of the thread.
        absorb: told of what an errand raises; the others are run all the same.

    Example:
        >>> done = threading.Event()
        >>> errands = Errands("example", print)
        >>> errands.run(done.set)
        >>> done.wait(5)
        True
        >>> errands.close()
    """

    def __init__(self, name: str, absorb: Callable[[BaseException], None]) -> None:
        self._name = name
        self._absorb = absorb
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, errand: Callable[[], object]) -> None:
        """Have something done soon."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
        self._waiting.put(errand)

    def close(self) -> None:
        """Do what waits, for a moment, and no more."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._waiting.put(None)
            self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        while (errand := self._waiting.get()) is not None:
            try:
                errand()
            except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from being done
                self._absorb(error)
