"""At the start of a run: blocks that dead runs of the same directory have left in the queue are ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from parsl_diaspora.clock import Clock
from parsl_diaspora.errors import PoolError
from parsl_diaspora.events import Event, OrphansFound
from parsl_diaspora.pool_settings import ORPHANS, PoolSpec
from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.providers.orphans import BlockJob, cancel_jobs, left_behind
from parsl_diaspora.providers.queues import Queue
from parsl_diaspora.providers.run_queues import queues_of
from parsl_diaspora.providers.runs import Runs

PART = "orphans"
CANCEL, REPORT, LEAVE = ORPHANS
#: Seconds before each look: the program's own start comes first, and a scheduler may be away for a while.
LOOKS = (2.0, 30.0, 120.0)
_JOIN = 2.0

_GONE = {
    "ended": "Its run has ended",
    "interrupted": "Its program is gone, and had not ended its run",
}


class Orphans:
    """Looks, in a thread of its own, until all schedulers have answered once.

    Args:
        run: id of the run that has started.
        run_dir: its directory, beside which those of earlier runs are.
        queues: where its own blocks may be.
        cancel: end what is found; else it is only said.
        say: publishes an event.
        absorb: told of each fault.
        clock: time.
    """

    def __init__(
        self,
        run: str,
        run_dir: Path,
        queues: list[Queue],
        *,
        cancel: bool,
        say: Callable[[Event], object],
        absorb: Callable[[str, BaseException], None],
        clock: Clock,
    ) -> None:
        self._run, self._runs = run, run_dir.parent
        self._queues, self._cancel = queues, cancel
        self._say, self._absorb = say, absorb
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="diaspora-orphans", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Look no more. A scheduler that hangs is left to the process's end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN)

    def _work(self) -> None:
        left = list(self._queues)
        for seconds in LOOKS:
            if not left or self._clock.wait(self._stop, seconds):
                return
            left = [queue for queue in left if not self._answers(queue)]

    def _answers(self, queue: Queue) -> bool:
        """Look into one queue; whether that could be done."""
        try:
            self.look(queue)
        except PoolError as error:
            self._absorb(PART, error)
            return False
        except Exception as error:  # noqa: BLE001 - promise 1: what cannot be looked at stays as it is
            self._absorb(PART, error)
        return True

    def look(self, queue: Queue) -> None:
        """End, or say, what is in one queue.

        Raises:
            PoolError: the scheduler does not answer.
        """
        found = left_behind([queue], Runs(runs=self._runs).find, self._runs, self._run)
        if not found:
            return
        still = cancel_jobs([queue], found, clock=self._clock) if self._cancel else []
        for _, blocks in groupby(sorted(found, key=_run_of), key=_run_of):
            self._say(_event(list(blocks), still, cancelled=self._cancel))
        if still:
            ids = ", ".join(each.job.id for each in still)
            raise PoolError(
                f"Blocks of dead runs are still in the queue after they were cancelled: {ids}.",
                hint="parsl-diaspora pools orphans lists them.",
            )


def _run_of(block: BlockJob) -> str:
    return block.of.run_dir


def _event(blocks: list[BlockJob], still: Iterable[BlockJob], *, cancelled: bool) -> OrphansFound:
    of = blocks[0].of
    there = {each.job.id for each in still}
    return OrphansFound(
        dead_run=of.run,
        program=of.program,
        jobs=tuple(each.job.id for each in blocks),
        left=tuple(each.job.id for each in blocks if each.job.id in there),
        cancelled=cancelled,
        message=f"{_GONE[of.state]}: its blocks serve nobody.",
    )


def orphans_of(
    run: str,
    run_dir: Path,
    executors: Mapping[str, Any],
    spec: PoolSpec | None,
    *,
    say: Callable[[Event], object],
    absorb: Callable[[str, BaseException], None],
    clock: Clock,
) -> Orphans | None:
    """What looks for orphans as the settings want it; None where it is left alone, or there is no pool.

    Args:
        run: id of the run that has started.
        run_dir: its directory.
        executors: hardened ones, by label.
        spec: of the pool that is held, if one is. Else each pool provider's own wish counts, the most careful
            of all.
        say: publishes an event.
        absorb: told of each fault.
        clock: time.
    """
    labels = spec.executors if spec is not None else set()
    providers = [
        each.provider
        for label, each in list(executors.items())
        if label in labels or isinstance(each.provider, ResilientPoolProvider)
    ]
    wishes = [each.orphans for each in providers if isinstance(each, ResilientPoolProvider)]
    wish = max([spec.orphans] if spec is not None else wishes, key=ORPHANS.index, default=LEAVE)
    if wish == LEAVE:
        return None
    queues = queues_of(providers, clock)
    return Orphans(run, run_dir, queues, cancel=wish == CANCEL, say=say, absorb=absorb, clock=clock)
