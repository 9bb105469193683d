"""Whether the program still is there: a pool without one has to end.

A connection that nobody answers may be a paused interchange, or a network that is down for a while: stock's
own heartbeat threshold decides then. A host that refuses connections to the interchange's port says more.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from parsl_diaspora.executors.supervision.nodefile import NodeFile
from parsl_diaspora.monitoring.node import kernel

SILENT = 3.0  # seconds without an answer, after which it is asked whether anybody listens
ASK_EVERY = 2.0  # seconds
REFUSALS = 3  # one after the other
_CONNECT = 0.3  # seconds


class Program:
    """Watches the program from its node.

    Args:
        told: names the program's process.
        addresses: that the interchange may have, or the one that has answered.
        port: of the interchange for managers.
        silent: seconds since the interchange last answered; None if there is no such connection.
        now: monotonic seconds.
    """

    def __init__(
        self,
        told: NodeFile,
        addresses: Callable[[], Sequence[str]],
        port: int,
        silent: Callable[[], float | None],
        now: Callable[[], float],
    ) -> None:
        self._addresses = addresses
        self._port = port
        self._silent = silent
        self._now = now
        self._pid = told.submit_pid if self._is_here(told) else 0
        self._start = told.submit_start
        self._refused = 0
        self._was_there = False
        self._next = now() + ASK_EVERY

    def _is_here(self, told: NodeFile) -> bool:
        """Whether the program's process can be watched: the same host, and the same process ids."""
        if told.submit_host != os.uname().nodename or not told.submit_start:
            return False
        known = kernel.stat(told.submit_pid)
        return known is not None and known.start == told.submit_start

    def gone(self) -> str:
        """Why the program is known to be gone; empty while it is not."""
        now = self._now()
        if now < self._next:
            return ""
        self._next = now + ASK_EVERY
        if self._pid and not self._process_is_there():
            return f"the program's process {self._pid} is gone"
        return self._asked() if self._port else ""

    def _process_is_there(self) -> bool:
        known = kernel.stat(self._pid)
        return known is not None and known.state not in "ZX" and known.start == self._start

    def _asked(self) -> str:
        silent = self._silent()
        if silent is not None and silent < SILENT:
            self._was_there, self._refused = True, 0
            return ""
        answers = {self._ask(address) for address in self._addresses()}
        if True in answers:
            self._was_there = True
        self._refused = self._refused + 1 if answers == {False} and self._was_there else 0
        if self._refused < REFUSALS:
            return ""
        return f"nobody listens at the interchange's port {self._port} any more"

    def _ask(self, address: str) -> bool | None:
        """Whether somebody listens: False if the connection is refused, None if nobody knows."""
        with suppress(TimeoutError, OSError):
            try:
                socket.create_connection((address.strip("[]"), self._port), timeout=_CONNECT).close()
            except ConnectionRefusedError:
                return False
            return True
        return None
