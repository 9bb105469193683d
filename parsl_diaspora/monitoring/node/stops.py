"""Tries that must stop: first they are asked, then their worker is ended.

A task in C code that holds the interpreter's lock takes no notice of a signal, so the last word is SIGKILL.
Before it the worker is paused, and the board is read once more: a worker that has begun another task
meanwhile goes on with it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import msgspec

from parsl_diaspora.events import Event, TryStopped
from parsl_diaspora.executors.supervision.board import STOP_SIGNAL, Board, Slot
from parsl_diaspora.monitoring.node import kernel

GRACE = 0.5  # seconds from the signal to SIGKILL, if the order does not say
REMEMBERED = 300.0  # seconds for which a try that has not begun here is waited for
_PAUSE = 0.25  # seconds for which a worker may take to be paused


class StopOrder(msgspec.Struct, kw_only=True, frozen=True):
    """That a try must stop.

    Attributes:
        task: its task.
        try_id: number of the try.
        reason: in words.
        grace: seconds that it has to give way.
    """

    task: int
    try_id: int = msgspec.field(name="try")
    reason: str = ""
    grace: float = GRACE


class AskOrder(msgspec.Struct, kw_only=True, frozen=True):
    """That a try which runs here is to be asked for something; see `Slot.ask`.

    Attributes:
        task: its task.
        try_id: number of the try.
        what: number of what it is asked for.
    """

    task: int
    try_id: int = msgspec.field(name="try")
    what: int


class _Stop(msgspec.Struct):
    order: StopOrder
    since: float
    slot: Slot | None = None
    pid: int = 0
    changes: int = 0
    asked: float = 0.0


class Stops:
    """Carries out stop orders, step by step.

    Args:
        board: of the pool.
        say: takes events.
        now: monotonic seconds.

    Attributes:
        killed: workers that were ended, with the reason.
        pool: process id of the pool: nobody but its children is signalled.
    """

    def __init__(
        self, board: Board, say: Callable[[Event], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self.killed: dict[int, str] = {}
        self.pool = 0
        self._board = board
        self._say = say
        self._now = now
        self._stops: list[_Stop] = []

    def order(self, order: StopOrder) -> None:
        """Take an order; its first step is done at once."""
        stop = _Stop(order=order, since=self._now())
        self._stops.append(stop)
        self.step()

    def ask(self, order: AskOrder) -> None:
        """Let a try see what it is asked for, if it runs here."""
        for slot in self._board.finds(order.task, order.try_id):
            slot.ask(order.task, order.try_id, order.what)

    @property
    def waits_for(self) -> float | None:
        """Monotonic time of the next step that has to be done on time; None if there is none."""
        return min((stop.asked + stop.order.grace for stop in self._stops if stop.slot), default=None)

    def step(self) -> None:
        """Do what is due."""
        if self._stops:
            self._stops = [stop for stop in self._stops if not self._is_done(stop)]

    def _is_done(self, stop: _Stop) -> bool:
        if stop.slot is None:
            return not self._found(stop) and self._now() - stop.since > REMEMBERED
        if not self._still_runs(stop):
            self._tell(stop, "signal")
            return True
        if self._now() < stop.asked + stop.order.grace:
            return False
        return self._end(stop)

    def _found(self, stop: _Stop) -> bool:
        """Look for the try; when it runs here, ask it to stop."""
        slot = self._board.find(stop.order.task, stop.order.try_id)
        if slot is None:
            return False
        work = slot.read()
        known = kernel.stat(work.pid)
        if known is None or known.parent != self.pool:
            return False
        stop.slot, stop.pid, stop.changes, stop.asked = slot, work.pid, work.changes, self._now()
        slot.ask_stop(stop.order.task, stop.order.try_id)
        if kernel.catches(work.pid, STOP_SIGNAL):  # else it would end the worker, and nobody had asked
            kernel.send([work.pid], STOP_SIGNAL)
        return True

    def _still_runs(self, stop: _Stop) -> bool:
        return stop.slot is not None and stop.slot.read().changes == stop.changes

    def _end(self, stop: _Stop) -> bool:
        kernel.send([stop.pid], signal.SIGSTOP)
        self._await_pause(stop.pid)
        if not self._still_runs(stop):
            kernel.send([stop.pid], signal.SIGCONT)
            self._tell(stop, "signal")
            return True
        self.killed[stop.pid] = stop.order.reason or "stopped"
        below = kernel.descendants(stop.pid)
        kernel.send([stop.pid, *below], signal.SIGKILL)
        self._tell(stop, "kill")
        return True

    def _await_pause(self, pid: int) -> None:
        end = self._now() + _PAUSE
        while (known := kernel.stat(pid)) is not None and known.state in "RSD" and self._now() < end:
            time.sleep(0.002)

    def _tell(self, stop: _Stop, how: str) -> None:
        event = TryStopped(
            task=stop.order.task,
            try_id=stop.order.try_id,
            worker=stop.slot.rank if stop.slot else None,
            pid=stop.pid,
            how=how,
            reason=stop.order.reason,
            seconds=self._now() - stop.since,
        )
        self._say(event)
