"""The loop: one thread that looks after one pool, and a new one when the pool was killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import ManagerEnded, NodeEnding
from parsl_diaspora.executors.supervision.board import Board, remove_abandoned
from parsl_diaspora.executors.supervision.nodefile import NodeFile
from parsl_diaspora.monitoring.node import deaths, kernel
from parsl_diaspora.monitoring.node.channel import Channel
from parsl_diaspora.monitoring.node.command import PoolCommand, new_uid
from parsl_diaspora.monitoring.node.htex_link import HtexLink
from parsl_diaspora.monitoring.node.inbox import Inbox
from parsl_diaspora.monitoring.node.life import Pool
from parsl_diaspora.monitoring.node.presence import open_link
from parsl_diaspora.monitoring.node.program import Program
from parsl_diaspora.monitoring.node.signals import Signals
from parsl_diaspora.monitoring.node.stops import AskOrder, StopOrder, Stops
from parsl_diaspora.monitoring.node.usage import Usage

ORDERS = ("stop", "ask", "restart_pool", "end")
TICK = 0.2  # seconds
RESTARTS_WITHIN = 300.0  # seconds
MOST_TROUBLES = 20


class Supervisor:
    """Starts a pool and looks after it until it has ended for good.

    Args:
        told: by the submit side.
        command: of the pool.
        signals: that arrive here.
        now: monotonic seconds.
    """

    def __init__(
        self,
        told: NodeFile,
        command: PoolCommand,
        signals: Signals,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._told = told
        self._command = command.with_uid(command.uid or new_uid())
        self._signals = signals
        self._now = now
        self._orders: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._restarts: deque[float] = deque()
        self._exit: int | None = None
        self._troubles = 0
        self._told_changes = 0
        self._link: HtexLink | None = None
        kernel.adopt_orphans()
        remove_abandoned()
        self._board = Board.create()
        try:
            self._pool = Pool(self._command, self._board, os.environ)
        except BaseException:
            self._board.remove()
            raise

    def run(self) -> int:
        """Look after the pool until it has ended; the exit code to leave with."""
        try:
            self._open()
            while self._exit is None and self._troubles < MOST_TROUBLES:
                self._signals.wait(self._pause(), *self._pool.reports.open_pipe())
                self._look()
        except Exception as error:  # noqa: BLE001 - promise 1: the pool goes on without being looked after
            print(f"parsl_diaspora: a supervisor gives up: {error!r}", file=sys.stderr)  # noqa: T201
        if self._exit is None:
            self._exit = self._just_wait()
        self._close()
        return self._exit

    def _just_wait(self) -> int:
        """Do no more than a shell would."""
        while self._pool.exit_code is None:
            self._signals.wait(TICK)
            self._pool.note(kernel.reap())
            if number := self._signals.take():
                self._pool.end(number)
        return self._pool.exit_code if self._pool.exit_code >= 0 else 128 - self._pool.exit_code

    # --- begin and end ---

    def _open(self) -> None:
        told, host = self._told, os.uname().nodename
        place = {"run": told.run, "executor": told.executor, "node": host, "manager": self._pool.uid}
        place["block"] = self._command.value("-b", "--block_id")
        source = f"node:{host}:{os.getpid()}"
        self._channel = Channel(told.url, source, place, self._now, self._take_order)
        self._link = self._guarded("link", lambda: open_link(self._command, told, place, self._now))
        self._inbox = Inbox(Path(told.orders)) if told.orders else None
        self._stops = Stops(self._board, self._channel.say, self._now)
        port = self._command.value("-P", "--port")
        self._program = Program(told, self._addresses, int(port or 0), self._silent, self._now)
        self._usage = Usage(self._board, self._channel.say, told.sample, self._now)
        self._begin()

    def _begin(self) -> None:
        """A pool has been started: tell of it, and look at it."""
        self._stops.pool = self._pool.pid
        self._channel.place["manager"] = self._pool.uid
        self._guarded("facts", lambda: self._channel.say(self._usage.facts()))
        self._guarded("samples", lambda: self._usage.begin(self._pool.pid))

    def _close(self) -> None:
        self._pool.end(signal.SIGKILL)
        self._board.remove()
        if self._link is not None:
            self._guarded("link", self._link.close)
        if hasattr(self, "_channel"):
            self._channel.close()

    def _guarded(self, part: str, do: Callable[[], Any]) -> Any:
        """Do something whose failure must not end the watching."""
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - promise 1: counted, said once, and the pool goes on
            self._channel.absorb(part, error)
            return None

    # --- the loop ---

    def _pause(self) -> float:
        due = self._stops.waits_for
        return TICK if due is None else min(TICK, max(0.0, due - self._now()))

    def _look(self) -> None:
        try:
            self._step()
        except Exception as error:  # noqa: BLE001 - promise 1: counted, said once, and tried again
            self._troubles += 1
            self._channel.absorb("loop", error)

    def _step(self) -> None:
        self._pool.note(kernel.reap())
        self._guarded("deaths", self._tell_of_deaths)
        self._guarded("orders", self._take_orders)
        self._guarded("stops", self._stops.step)
        self._guarded("link", self._beat)
        self._guarded("samples", self._usage.step)
        if self._exit is None and self._pool.exit_code is not None:
            self._pool_ended(self._pool.exit_code)
        if self._exit is None and (number := self._signals.take()):
            self._told_to_end(number)
        if self._exit is None and (why := self._guarded("program", self._program.gone)):
            self._end(why, 0)

    def _tell_of_deaths(self) -> None:
        pool = self._pool
        for death in pool.reports.take():
            if self._pool is pool:  # else the pool has been replaced meanwhile, and this death with it
                self._guarded("deaths", partial(self._tell_of, death))

    def _tell_of(self, death: deaths.Death) -> None:
        if death.ends_pool:
            self._restart(f"the pool's process for shared objects ended with {death.exit_code}")
        if death.rank is None:
            return
        work = deaths.take_from_board(self._board, death)
        event = deaths.worker_ended(death, work)
        event.stopped = self._stops.killed.pop(death.pid, "")
        event.memory = self._usage.memory_of(death.pid)
        event.out_of_memory = not event.stopped and self._usage.ran_out_of_memory(death.exit_code)
        self._channel.say(event)
        if work is not None:
            kernel.send(deaths.left_behind(self._pool.pid, work.started), signal.SIGKILL)

    def _beat(self) -> None:
        link = self._link
        if link is None:
            return
        if link.said.get("supervises") != self._pool.uid or self._channel.changes != self._told_changes:
            self._told_changes = self._channel.changes
            link.said.update(supervises=self._pool.uid, events=self._channel.beside())
            link.register_again()
        link.step()

    def _silent(self) -> float | None:
        return self._link.silent() if self._link is not None and self._link.heard is not None else None

    def _addresses(self) -> list[str]:
        if self._link is not None and self._link.url:
            return [self._link.url.removeprefix("tcp://").rpartition(":")[0]]
        return [one for one in self._command.value("-a", "--addresses").split(",") if one]

    # --- orders ---

    def _take_order(self, message: dict[str, Any]) -> None:
        """Of the thread of the relay: whoever gave the order hears that it is none for a supervisor."""
        if (kind := message.get("kind")) not in ORDERS:
            raise FabricError(f"No supervisor takes orders of kind {kind!r}.")
        self._orders.put(message)

    def _take_orders(self) -> None:
        messages = self._inbox.take(self._now(), self._channel.place) if self._inbox is not None else []
        while True:
            try:
                messages.append(self._orders.get_nowait())
            except Empty:
                break
        for message in messages:
            self._guarded("order", partial(self._obey, message))

    def _obey(self, message: dict[str, Any]) -> None:
        kind, reason = message.get("kind"), str(message.get("reason", ""))
        if kind == "stop":
            self._stops.order(msgspec.convert(message, StopOrder))
        elif kind == "ask":
            self._stops.ask(msgspec.convert(message, AskOrder))
        elif kind == "restart_pool":
            self._restart(reason or "asked to")
        elif kind == "end":
            self._end(reason or "asked to", 0)

    # --- the end of a pool ---

    def _pool_ended(self, code: int) -> None:
        """It ended by itself: a signal is an accident, everything else was meant."""
        if code >= 0:
            self._tell_ended(code, "ended by itself" if code else "ended as told", "", self._pool.end())
            self._exit = code
        else:
            self._restart(f"killed by {signal_name(-code)}, for which nobody here had asked")

    def _restart(self, reason: str) -> None:
        """Let a new pool take the place of this one in the same block, unless that happens too often."""
        killed, old = self._pool.end(signal.SIGKILL), self._pool
        code = old.exit_code if old.exit_code is not None else -signal.SIGKILL
        old.close()
        if not self._may_restart():
            self._tell_ended(code, f"{reason}; too often to try again", "", killed)
            self._exit = 128 + max(-code, 0)
            return
        self._command = self._command.with_uid(new_uid())
        self._tell_ended(code, reason, self._command.uid, killed)
        self._board.reset()
        self._pool = Pool(self._command, self._board, os.environ)
        self._begin()

    def _may_restart(self) -> bool:
        now = self._now()
        while self._restarts and self._restarts[0] < now - RESTARTS_WITHIN:
            self._restarts.popleft()
        self._restarts.append(now)
        return len(self._restarts) <= self._told.restarts

    def _tell_ended(self, code: int, reason: str, successor: str, killed: int) -> None:
        self._channel.say(
            ManagerEnded(pid=self._pool.pid, exit_code=code, reason=reason, next=successor, workers=killed)
        )

    def _told_to_end(self, number: int) -> None:
        name = signal_name(number)
        self._channel.say(NodeEnding(reason=f"{name} from outside, as of a batch system or an operator"))
        killed = self._pool.end(number)
        self._tell_ended(self._code_now(number), f"ended after {name}", "", killed)
        self._exit = 128 + number

    def _end(self, reason: str, code: int) -> None:
        self._channel.say(NodeEnding(reason=reason))
        killed = self._pool.end()
        self._tell_ended(self._code_now(signal.SIGTERM), reason, "", killed)
        self._exit = code

    def _code_now(self, number: int) -> int:
        return self._pool.exit_code if self._pool.exit_code is not None else -number


def signal_name(number: int) -> str:
    """A signal's name; its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
