"""What node and workers use, said from time to time; and whether memory ran out when a worker died."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from parsl_diaspora.events import Event, NodeSeen, WorkerSampled
from parsl_diaspora.executors.supervision.board import Board
from parsl_diaspora.monitoring.node.cgroups import ControlGroup, MemoryEvents
from parsl_diaspora.monitoring.node.facts import node_facts
from parsl_diaspora.monitoring.node.gpus import Gpus
from parsl_diaspora.monitoring.node.sampling import Sampler

_OOM_COUNTS_FOR = 2.0  # seconds in which deaths belong to the same shortage


class Usage:
    """Samples a pool, and a new one after it.

    Args:
        board: of the pool.
        say: takes events.
        period: seconds between two samples; 0 for none.
        now: monotonic seconds.
    """

    def __init__(
        self,
        board: Board,
        say: Callable[[Event], None],
        period: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._say = say
        self._period = period
        self._now = now
        self._group = ControlGroup.of()
        self._gpus = Gpus()
        self._mishaps = MemoryEvents(self._group)
        self._memory: dict[int, int] = {}
        self._out_of_memory_until = 0.0
        self._sampler: Sampler | None = None
        self._next = 0.0

    def facts(self) -> NodeSeen:
        """What the node is."""
        return node_facts(self._group, self._gpus)

    def begin(self, pool: int) -> None:
        """Look at this pool from now on."""
        self._memory.clear()
        if self._period:
            self._sampler = Sampler(pool, self._board, group=self._group, gpus=self._gpus)
            self._next = self._now() + self._period

    def step(self) -> None:
        """Say what is due."""
        if self._sampler is None or self._now() < self._next:
            return
        self._next = self._now() + self._period
        self.look_for_mishaps()
        samples = self._sampler.sample()
        self._memory = {each.pid: each.memory for each in samples if isinstance(each, WorkerSampled)}
        for each in samples:
            self._say(each)

    def look_for_mishaps(self) -> None:
        """Say it if the kernel had to do something about memory."""
        changes = self._mishaps.changes()
        if changes.get("oom_kill"):
            self._out_of_memory_until = self._now() + _OOM_COUNTS_FOR
        event = self._mishaps.event(changes) if changes else None
        if event is not None:
            self._say(event)

    def memory_of(self, pid: int) -> int:
        """Bytes that a worker had when it was last looked at."""
        return self._memory.get(pid, 0)

    def ran_out_of_memory(self, exit_code: int | None) -> bool:
        """Whether a process that ended so was probably ended by the kernel for want of memory."""
        if exit_code != -signal.SIGKILL:
            return False
        self.look_for_mishaps()
        return self._now() < self._out_of_memory_until
