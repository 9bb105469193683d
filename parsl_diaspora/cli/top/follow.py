"""Reads a run's fabric from its beginning, in a thread, into the model."""

from __future__ import annotations

import threading
import time

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.top.frame import Frame
from parsl_diaspora.cli.top.model import Model
from parsl_diaspora.fabric import Consumer
from parsl_diaspora.state.reading import drain

CONSUMER = "top"
BATCH = 2_000  # events after which a frame may be made in between
WAIT = 0.2
PAUSE = 1.0  # seconds after a read that failed
STOP_SECONDS = 3.0


class Follower:
    """Follows one run.

    Args:
        found: the run.

    Attributes:
        trouble: why the fabric cannot be read at the moment; empty while it can.
        caught_up: all that was there has been read once.
    """

    def __init__(self, found: Found) -> None:
        self._model = Model(found.run)
        self._consumer: Consumer = found.fabric.consumer(CONSUMER, start="earliest")
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diaspora-top", daemon=True)
        self.trouble = ""
        self.caught_up = threading.Event()

    def read_all(self) -> None:
        """Read what there is, in this thread."""
        for event in drain(self._consumer):
            self._model.add(event)
        self.caught_up.set()

    def start(self) -> None:
        """Go on reading in a thread."""
        self._thread.start()

    def frame(self, now: float | None = None) -> Frame:
        """The view now."""
        with self._lock:
            return self._model.frame(time.time() if now is None else now)

    def close(self) -> None:
        """Read no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._read_some()
                self.trouble = ""
            except Exception as error:  # noqa: BLE001 - a server that is away may come back; shown meanwhile
                self.trouble = str(error) or type(error).__name__
                self._stop.wait(PAUSE)

    def _read_some(self) -> None:
        events = self._consumer.poll(WAIT, BATCH)
        if not events:
            self.caught_up.set()
            return
        with self._lock:
            for event in events:
                self._model.add(event)
