"""The thread that holds a run's pool: it hears what happens, and takes step after step of the controller."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event
from parsl_diaspora.executors.mixin import Hardening
from parsl_diaspora.executors.sites import ExecutorSites
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.controller import HEEDED, PERIOD, Controller
from parsl_diaspora.scaling.letting_go import Interruptible
from parsl_diaspora.state import Live

logger = logging.getLogger(__name__)

PART = "pool controller"


class Scaler:
    """Holds the pool of one run until it is closed.

    Args:
        spec: what is to be held.
        executors: hardened ones, by label.
        live: of the run.
        clock: time.
        interruptible: knows which tasks can leave a block that goes.

    Attributes:
        controller: what decides.
    """

    def __init__(
        self,
        spec: PoolSpec,
        executors: Mapping[str, Hardening],
        live: Live,
        clock: Clock,
        *,
        interruptible: Interruptible | None = None,
    ) -> None:
        self._live = live
        self._clock = clock
        self._heard: deque[Event] = deque()
        self._stop = threading.Event()
        self.controller = Controller(
            spec,
            ExecutorSites(spec, executors, live.say, clock),
            live.picture,
            live.say,
            interruptible=interruptible,
        )
        self._thread = threading.Thread(target=self._run, name="diaspora-scaler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._live.listen(self._hear)
        self._thread.start()

    def close(self) -> None:
        """Ask for nothing more, and let nothing go any more."""
        self._stop.set()
        self._thread.join(2 * PERIOD)  # a batch system that hangs is left to the process's end

    def _hear(self, event: Event) -> None:
        if type(event) in HEEDED and event.run == self._live.picture.run:
            self._heard.append(event)

    def _run(self) -> None:
        while not self._clock.wait(self._stop, PERIOD):
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - promise 1: blocks stay as they are, and the next step may do
                self._live.absorb(PART, error)

    def _step(self) -> None:
        while self._heard:
            self.controller.fold(self._heard.popleft())
        self.controller.step(self._clock.time())
