"""Jobs that outlive their program: found by the run that they are of, and ended.

A program that is killed cannot take its blocks out of the queue. Those that run end by themselves once their
managers miss the program; those that wait would start days later, for nobody. Each job of a pool has the id
of its run in its name, and the script of each block of Parsl lies in its run's directory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.providers.queues import Queue, QueuedJob

#: How a run is: the answer of whoever knows its log.
DEAD = frozenset({"ended", "interrupted"})
UNKNOWN = "unknown"
ENDING = frozenset({"COMPLETING"})  # states of jobs that the scheduler is just about to end
WAIT = 15.0  # seconds for jobs to leave the queue
_POLL = 0.5


class RunFound(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the run of a job.

    Attributes:
        run: Parsl's run id; empty if not even that is known.
        state: ``ended``, ``running``, ``interrupted``, with a question mark where only silence speaks for
            it, or ``unknown`` without a log of it.
        program: the script's file name.
        run_dir: its directory; empty if that is not known.
    """

    run: str = ""
    state: str = UNKNOWN
    program: str = ""
    run_dir: str = ""


class BlockJob(msgspec.Struct, frozen=True, kw_only=True):
    """A block of some run of Parsl that waits or runs.

    Attributes:
        job: as the scheduler has it.
        of: its run.
    """

    job: QueuedJob
    of: RunFound

    @property
    def is_orphan(self) -> bool:
        """Whether its program is surely gone. Silence is no proof."""
        return self.of.state in DEAD


#: Tells of a run by its id and its directory; each may be empty.
Lookup = Callable[[str, str], RunFound]


def block_jobs(queues: Iterable[Queue], lookup: Lookup) -> list[BlockJob]:
    """All blocks of Parsl in these queues, with what is known of their runs.

    Args:
        queues: where to look.
        lookup: tells of a run.

    Raises:
        PoolError: a scheduler does not answer.
    """
    jobs = [job for queue in queues for job in queue.jobs()]
    return [BlockJob(job=job, of=lookup(job.run, job.run_dir)) for job in jobs if job.run or job.run_dir]


def left_behind(queues: Iterable[Queue], lookup: Lookup, runs: Path, own: str) -> list[BlockJob]:
    """Blocks that dead runs of one directory have left. Those that are about to end are not counted.

    Args:
        queues: where to look.
        lookup: tells of a run.
        runs: the directory in which the runs' own directories are.
        own: id of the run that asks.

    Raises:
        PoolError: a scheduler does not answer.
    """
    runs = runs.resolve()
    return [
        each
        for each in block_jobs(queues, lookup)
        if each.is_orphan
        and each.of.run != own
        and each.of.run_dir
        and Path(each.of.run_dir).resolve().parent == runs
        and each.job.state not in ENDING
    ]


def cancel_jobs(
    queues: Sequence[Queue], blocks: Iterable[BlockJob], *, wait: float = WAIT, clock: Clock | None = None
) -> list[BlockJob]:
    """End blocks, and look whether they are gone.

    Args:
        queues: where they are.
        blocks: to be ended.
        wait: for them to leave the queue, seconds.
        clock: the system's by default.

    Returns:
        Those that are still there.

    Raises:
        PoolError: a scheduler does not answer.
    """
    clock = clock or SystemClock()
    left = list(blocks)
    for queue in queues:
        queue.cancel([each.job.id for each in left if each.job.scheduler == queue.scheduler])
    deadline = clock.monotonic() + wait
    while left := _still_there(queues, left):
        if clock.monotonic() >= deadline:
            break
        clock.wait(threading.Event(), _POLL)
    return left


def _still_there(queues: Iterable[Queue], blocks: Sequence[BlockJob]) -> list[BlockJob]:
    if not blocks:
        return []
    there = {(job.scheduler, job.id) for queue in queues for job in queue.jobs()}
    return [each for each in blocks if (each.job.scheduler, each.job.id) in there]
