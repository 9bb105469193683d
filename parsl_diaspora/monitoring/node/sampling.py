"""What a node and its workers use, as events: one process looks at all of them every few seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from parsl_diaspora.events import Event, NodeSampled, WorkerSampled
from parsl_diaspora.executors.supervision.board import Work
from parsl_diaspora.monitoring.node.cgroups import ControlGroup
from parsl_diaspora.monitoring.node.gpus import Gpus
from parsl_diaspora.monitoring.node.latest import Latest
from parsl_diaspora.monitoring.node.processes import (
    Process,
    Processes,
    Transferred,
    children_of,
    descendants,
    numbers_of,
    text_of,
)

_TICKS = os.sysconf("SC_CLK_TCK")
_KIBIBYTE = 1_024
_IDLE = slice(3, 5)  # of the cpu line of /proc/stat: idle, and waiting for a disk
_ALL = slice(0, 8)  # without guests, who are counted as users already


class Works(Protocol):
    """Tells what the workers of a pool are at, as a board does."""

    def works(self) -> dict[int, Work]:
        """By rank, those workers that have had a task."""
        ...


class _Look(msgspec.Struct, frozen=True):
    """All that one sample is compared with at the next."""

    time: float
    busy: float
    processes: dict[int, Process]
    cpu: dict[int, float]
    trees: dict[int, list[int]]
    transferred: dict[int, Transferred]


class Sampler:
    """Samples a pool of workers and its node. Nothing that cannot be read is fatal.

    Args:
        pool: process id of the pool.
        board: tells which workers there are and what they are at.
        group: the pool's control group.
        gpus: the node's accelerators.
        directory: whose file system is looked at for room.
        proc: where the kernel shows its state.
        clock: monotonic seconds.

    Example:
        >>> from parsl_diaspora.executors.supervision.board import Board
        >>> board = Board.create()
        >>> node, *workers = Sampler(os.getpid(), board).sample()
        >>> node.kind, node.memory_free > 0, workers
        ('node.sampled', True, [])
        >>> board.remove()
    """

    def __init__(
        self,
        pool: int,
        board: Works,
        *,
        group: ControlGroup | None = None,
        gpus: Gpus | None = None,
        directory: str = ".",
        proc: str = "/proc",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._board = board
        self._group = group
        self._gpus = gpus
        self._proc = proc
        self._clock = clock
        self._processes = Processes(proc)
        self._disk = Latest("diaspora-disk", lambda: _room(directory), 0)
        self._disk.ask()
        self._before = self._look({})

    @property
    def vanished(self) -> int:
        """Processes that ended while they were read."""
        return self._processes.vanished

    @property
    def unreadable(self) -> int:
        """Files that the kernel did not show."""
        return self._processes.unreadable

    def settle(self, timeout: float) -> None:
        """Wait for readings that are made in threads of their own, so that the next sample has them."""
        self._disk.settle(timeout)
        if self._gpus is not None:
            self._gpus.settle(timeout)

    def sample(self) -> list[Event]:
        """The node, and each worker that has had a task: what they used since the call before."""
        works = self._board.works()
        now = self._look(works)
        before, self._before = self._before, now
        workers = [
            self._worker(rank, work, before, now) for rank, work in works.items() if work.pid in now.trees
        ]
        return [self._node(before, now), *workers]

    def _look(self, works: dict[int, Work]) -> _Look:
        now, busy = self._clock(), self._busy_seconds()
        processes = self._processes.below(self._pool)
        children = children_of(processes.values())
        trees = {
            work.pid: descendants(work.pid, children) for work in works.values() if work.pid in processes
        }
        transferred = {pid: self._transferred(tree) for pid, tree in trees.items()}
        return _Look(now, busy, processes, _cpu_of_trees(processes), trees, transferred)

    def _transferred(self, tree: Iterable[int]) -> Transferred:
        each = [self._processes.transferred(pid) for pid in tree]
        return Transferred(sum(one.read for one in each), sum(one.written for one in each))

    # --- the node ---

    def _node(self, before: _Look, now: _Look) -> NodeSampled:
        seconds = now.time - before.time
        used, free = self._memory()
        gpu = self._gpus.use() if self._gpus is not None else None
        pool = now.processes.values()
        return NodeSampled(
            cpu=_rate(now.busy - before.busy, seconds),
            load=self._load(),
            memory_used=used,
            memory_free=free,
            disk_free=self._disk.ask(),
            pool_cpu=_rate(_cpu_between(self._pool, before, now), seconds),
            pool_memory=sum(each.memory for each in pool),
            gpu=gpu.busy if gpu is not None else None,
            gpu_memory_used=gpu.memory if gpu is not None else None,
        )

    def _busy_seconds(self) -> float:
        fields = text_of(f"{self._proc}/stat").partition("\n")[0].split()[1:]
        numbers = [int(field) for field in fields if field.isdigit()]
        return (sum(numbers[_ALL]) - sum(numbers[_IDLE])) / _TICKS

    def _load(self) -> float:
        first = text_of(f"{self._proc}/loadavg").partition(" ")[0]
        return float(first) if first.replace(".", "", 1).isdigit() else 0.0

    def _memory(self) -> tuple[int, int]:
        """Bytes in use by anybody, and bytes that a process may still have."""
        numbers = numbers_of(text_of(f"{self._proc}/meminfo"))
        free = numbers.get("MemAvailable", 0) * _KIBIBYTE
        used = numbers.get("MemTotal", 0) * _KIBIBYTE - free
        allowed = self._group.free if self._group is not None else None
        return used, free if allowed is None else min(free, allowed)

    # --- workers ---

    def _worker(self, rank: int, work: Work, before: _Look, now: _Look) -> WorkerSampled:
        tree = now.trees[work.pid]
        moved = now.transferred[work.pid]
        earlier = before.transferred.get(work.pid) if _same(work.pid, before, now) else Transferred()
        earlier = earlier or moved  # it was there, but had not been looked at
        return WorkerSampled(
            worker=rank,
            task=work.task if work.busy else None,
            try_id=work.try_id if work.busy else None,
            pid=work.pid,
            cpu=_rate(_cpu_between(work.pid, before, now), now.time - before.time),
            memory=sum(now.processes[pid].memory for pid in tree),
            read=max(0, moved.read - earlier.read),
            written=max(0, moved.written - earlier.written),
            open_files=self._processes.open_files(work.pid),
            processes=len(tree),
        )


def _cpu_of_trees(processes: dict[int, Process]) -> dict[int, float]:
    """Seconds of each process with all below it; parents come first."""
    sums = {pid: each.cpu for pid, each in processes.items()}
    for pid, each in reversed(processes.items()):
        if each.parent in sums:
            sums[each.parent] += sums[pid]
    return sums


def _cpu_between(root: int, before: _Look, now: _Look) -> float:
    """Seconds of a tree: only its sums compare, as a child's past moves to its parent with its end."""
    earlier = before.cpu[root] if _same(root, before, now) else 0.0
    return now.cpu.get(root, 0.0) - earlier


def _same(pid: int, before: _Look, now: _Look) -> bool:
    """A process was there at the sample before: the same one, not another with its number."""
    here, then = now.processes.get(pid), before.processes.get(pid)
    return here is not None and then is not None and here.started == then.started


def _rate(seconds: float, span: float) -> float:
    return round(max(0.0, seconds) / span, 3) if span > 0 else 0.0


def _room(directory: str) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
