"""The thread that looks after a spool: room on the disk, lag, and a forwarder that hangs.

It never calls the fabric behind, so it goes on whatever that does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from parsl_diaspora.clock import Clock

logger = logging.getLogger(__name__)

LOOK = 0.25  # seconds between looks
_PAUSE = 0.02  # after making room, so that a disk that stays full costs no busy loop


class Keeper:
    """Calls ``look`` again and again, and at once when woken.

    Attributes:
        faults: looks that failed.
    """

    def __init__(self, look: Callable[[], None], clock: Clock) -> None:
        self._look = look
        self._clock = clock
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="diaspora-spool-keeper", daemon=True)
        self.faults = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def stop(self, timeout: float) -> None:
        """End within ``timeout`` seconds."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._clock.wait(self._wake, LOOK):
                self._wake.clear()
            try:
                self._look()
            except Exception:
                # A disk that cannot be looked at now can be in a moment; without this thread it fills up.
                self.faults += 1
                if self.faults == 1:
                    logger.exception("The spool's keeper failed; it looks again.")
            self._clock.wait(self._stop, _PAUSE)
