"""Publishing through the hub: events wait here until the hub says that they are safe."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.forks import renew_after_fork
from parsl_diaspora.fabric.protocols import FlushReport
from parsl_diaspora.fabric.relay.courier import Courier
from parsl_diaspora.fabric.relay.detour import Detour
from parsl_diaspora.fabric.relay.inbox import OnOrder
from parsl_diaspora.fabric.relay.intake import Intake
from parsl_diaspora.fabric.relay.keys import ClientKeys

logger = logging.getLogger(__name__)

HAND_OVER = 0.005  # seconds that an immediate publish waits for the hub
FIRST_CONTACT = 0.25  # the same for the very first one, which makes the connection


class RelayPublisher:
    """Encodes in the caller, sends in a thread, keeps a bounded number of events until they are safe.

    A forked child gets a life, a thread and a connection of its own.

    Args:
        address: of the hub, as ``tcp://host:port``.
        keys: the client's.
        source: who speaks.
        buffer: events that may wait.
        immediate: let `publish` wait for the hub for a few milliseconds, unless it was found to be away.
        on_order: takes orders, in a thread of its own.
        place: where the speaker is; orders can be addressed to it.
        detour: URL of a fabric that takes the events while the hub takes none; empty to let them wait.
    """

    def __init__(
        self,
        address: str,
        keys: ClientKeys,
        source: str,
        *,
        buffer: int = 50_000,
        immediate: bool = False,
        on_order: OnOrder | None = None,
        place: Mapping[str, Any] | None = None,
        detour: str = "",
    ) -> None:
        self._address = address
        self._keys = keys
        self._source = source
        self._buffer = buffer
        self._immediate = immediate
        self._on_order = on_order
        self._place = dict(place or {})
        self._detour = detour
        self._courier: Courier | None = None
        self.begin_life()
        renew_after_fork(self)
        if on_order is not None:
            self._start()

    def begin_life(self, *, closed: bool = False) -> None:
        """Start with a boot, a thread and counters of its own: at first, and in a forked child."""
        if self._courier is not None:
            self._courier.wake.close()  # the parent's descriptors, which the child got copies of
        self._courier = None
        self._starting = threading.Lock()
        self._intake = Intake(self._source, self._buffer, self._ring)
        self._patience = FIRST_CONTACT
        self._end = threading.Event()
        if closed:
            self._intake.closing.set()

    @property
    def source(self) -> str:
        """Who speaks."""
        return self._source

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._intake.closing.is_set()

    def publish(self, event: Event) -> None:
        """Stamp, encode and queue the event; in immediate mode also wait a little for the hub."""
        if not self._immediate:
            self._intake.publish(event)
            return
        self._before()
        self._intake.publish(event)
        self._hand_over()

    def forward(self, event: Event) -> None:
        """Queue an event that another source has stamped."""
        self._intake.forward(event)
        if self._immediate:
            self._hand_over()

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait until the hub has the events published so far: no death of a process loses them any more."""
        self._intake.wait(timeout)
        return self._intake.report()

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush and stop; what the hub does not acknowledge in time is counted as lost."""
        deadline = time.monotonic() + timeout
        if not self.closed:
            self.flush(timeout)
            self._intake.close()
            if (courier := self._courier) is not None:
                courier.stop(deadline)
        return self._intake.report()

    def _ring(self) -> None:
        """Start the thread, which takes the bell over from here."""
        if not self.closed and (courier := self._start()) is not None:
            courier.wake.ring()

    def _start(self) -> Courier | None:
        with self._starting:
            if self._courier is None:
                try:
                    self._courier = self._new_courier()
                except (OSError, RuntimeError) as error:  # no descriptor or no thread is to be had
                    logger.warning("Events cannot be sent to the relay (%s); they are lost.", error)
                    self._intake.closing.set()
                    self._intake.give_up()
            return self._courier

    def _new_courier(self) -> Courier:
        detour = Detour(self._detour, self._source) if self._detour else None
        return Courier(self._address, self._keys, self._intake, self._on_order, self._place, detour=detour)

    def _before(self) -> None:
        """Whoever found the hub away waits again only when it has taken all that there was."""
        if not self._patience and not self._intake.report().waiting:
            self._patience = HAND_OVER

    def _hand_over(self) -> None:
        if self._patience and not self.closed:
            self._patience = HAND_OVER if self._intake.wait(self._patience) else 0.0
