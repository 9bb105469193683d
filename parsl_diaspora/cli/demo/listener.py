"""Hears the events of the resilient run, and knows whether all of them are there."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.events import Event, RunEnded
from parsl_diaspora.fabric import Consumer, Fabric
from parsl_diaspora.state import Dedupe

PATIENCE = 60.0  # seconds after the end of the run for events that are on their way
_SLICE, _AGAIN = 0.2, 0.5


class Whole:
    """Whether all that the sources of a run have numbered was heard, up to its end.

    Example:
        >>> whole = Whole()
        >>> [
        ...     whole.is_new(event)
        ...     for event in (Event(run="r", boot="a", seq=1), Event(run="r", boot="a", seq=3))
        ... ]
        [True, True]
        >>> whole.missing("r")
        "the run's end, and 1 event before others of the same source"
    """

    def __init__(self) -> None:
        self._sources: dict[str, Dedupe] = defaultdict(Dedupe)  # by boot
        self._boots: dict[str, set[str]] = defaultdict(set)  # by run
        self._ended: set[str] = set()

    def is_new(self, event: Event) -> bool:
        """Whether the event was not heard before; takes note of it."""
        self._boots[event.run].add(event.boot)
        if isinstance(event, RunEnded):
            self._ended.add(event.run)
        return self._sources[event.boot].is_new(event)

    def missing(self, run: str) -> str:
        """What is missing, in words; empty if nothing is."""
        gaps = sum(self._sources[boot].missing for boot in self._boots[run])
        words = [] if run in self._ended else ["the run's end"]
        if gaps:
            words.append(f"{gaps} event{'s' * (gaps > 1)} before others of the same source")
        return ", and ".join(words)


class Listener:
    """Hears the events of a fabric as they come, in a thread of its own. A fabric that is away is waited for.

    Args:
        hear: takes each event once.
        fabric: to listen to, from now on.
    """

    def __init__(self, hear: Callable[[Event], None], fabric: Fabric) -> None:
        self._hear = hear
        self._whole = Whole()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._consumer: Consumer = fabric.consumer("demo", start="latest")
        self._thread = threading.Thread(target=self._run, name="demo-listener", daemon=True)
        self._thread.start()

    def stop(self, run: str, patience: float = PATIENCE) -> str:
        """Hear all of the run, then stop.

        Args:
            run: Parsl's run id.
            patience: seconds to wait for events that are not there yet.

        Returns:
            What is still missing, in words; empty if nothing is.
        """
        deadline = time.monotonic() + patience
        while (missing := self._missing(run)) and time.monotonic() < deadline:
            time.sleep(_SLICE)
        self._stop.set()
        self._thread.join(10)
        return missing and self._missing(run)

    def _missing(self, run: str) -> str:
        with self._lock:
            return self._whole.missing(run)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._take(_SLICE)
        while self._take(0.0):
            pass

    def _take(self, timeout: float) -> int:
        try:
            events = self._consumer.poll(timeout)
        except DiasporaError:
            self._stop.wait(_AGAIN)
            return 0
        with self._lock:
            new = [event for event in events if self._whole.is_new(event)]
        for event in new:
            self._hear(event)
        return len(events)
