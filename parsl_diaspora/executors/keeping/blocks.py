"""A lost block is replaced; the executor is given up only when no block of it ever could start.

Stock Parsl declares the executor bad for good as soon as all blocks it ever had have failed, which with
one initial block is the first crash of one node. Here only a configuration that never worked ends that way.
Where blocks have worked before, their tasks end as `NoBlocks` when new ones do not start, so that they go
elsewhere or come again later, and further blocks are tried as long as there is work for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from parsl.jobs.error_handlers import noop_error_handler, simple_error_handler
from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.executors.pool_provider import is_tolerant, room, rounds

logger = logging.getLogger(__name__)

_LONGEST = 500  # characters of a block's standard error
BACKOFF_FIRST, BACKOFF_LONGEST = 1.0, 60.0
_LOST = (JobState.FAILED, JobState.MISSING, JobState.CANCELLED, JobState.TIMEOUT, JobState.COMPLETED)


class BlockKeeper:
    """A block error handler, called by Parsl's job status poller with all blocks of an executor.

    Args:
        clock: for the back-off.
        start_failures: rounds in a row in which blocks ended without ever connecting, before the executor's
            tasks are ended.
    """

    def __init__(self, clock: Clock, start_failures: int) -> None:
        self._clock = clock
        self._start_failures = start_failures
        self._counted: set[str] = set()
        self._owed = 0
        self._failed_starts = 0
        self._failed_rounds = 0
        self._worked = False
        self._not_before = 0.0

    def __call__(self, executor: Any, status: dict[str, JobStatus]) -> None:
        """Note lost blocks, replace them as far as there is work for them, end the tasks when none starts."""
        lost = {block: s for block, s in status.items() if s.state in _LOST and block not in self._counted}
        if lost:
            self._note_losses(executor, lost)
        if self._failed_rounds >= rounds(executor.provider, self._start_failures) and not _active(status):
            if not self._worked and not is_tolerant(executor.provider):
                simple_error_handler(executor, {block: _as_failed(state) for block, state in status.items()})
                return
            self._end_tasks(executor, status)
        self._replace(executor, status)

    def _end_tasks(self, executor: Any, status: dict[str, JobStatus]) -> None:
        why = f"the last {self._failed_rounds} times no block could start"
        self._failed_rounds = 0
        detail = _words(status[max(status, key=int)])
        logger.warning("Executor %s: %s; its tasks are ended. %s", executor.label, why, detail)
        executor.end_all_tasks(
            lambda: NoBlocks(
                f"Executor {executor.label!r}: {why}. {detail}",
                executor=executor.label,
                hint="What a block's job has said is in submit_scripts of the executor's directory.",
            ),
            why,
        )

    def _note_losses(self, executor: Any, lost: dict[str, JobStatus]) -> None:
        self._counted.update(lost)
        self._owed += len(lost)
        submitted = executor.blocks_to_job_id  # a block that its provider refused is FAILED, and has no job
        if any(s.state != JobState.MISSING and block in submitted for block, s in lost.items()):
            self._worked = True  # some block did connect, so blocks can start
            self._failed_starts = self._failed_rounds = 0
            return
        if is_tolerant(executor.provider) and not any(block in submitted for block in lost):
            return  # the pool knows whom to ask again, and when
        self._failed_starts += 1
        self._failed_rounds += 1
        wait = min(BACKOFF_FIRST * 2.0 ** (self._failed_starts - 1), BACKOFF_LONGEST)
        self._not_before = self._clock.monotonic() + wait

    def _replace(self, executor: Any, status: dict[str, JobStatus]) -> None:
        active = len(_active(status))
        upper = executor.provider.max_blocks if executor.outstanding() else executor.provider.min_blocks
        wanted = room(executor.provider, min(self._owed, upper - active))
        if wanted <= 0 or self._clock.monotonic() < self._not_before:
            return
        started = executor.scale_out_facade(wanted)
        self._owed -= wanted
        logger.info("Executor %s: %d lost blocks are replaced by %s.", executor.label, wanted, started)


def keeper_for(handler: Callable[..., None], clock: Clock, start_failures: int) -> Callable[..., None]:
    """Our handler in place of Parsl's default one; a handler that the program chose is kept."""
    return BlockKeeper(clock, start_failures) if handler is simple_error_handler else handler


def leave_to_pool(handler: Callable[..., None]) -> Callable[..., None]:
    """Where a pool controller replaces blocks nobody else does; a handler that the program chose is kept."""
    return noop_error_handler if handler is simple_error_handler else handler


def _active(status: dict[str, JobStatus]) -> list[str]:
    return [block for block, state in status.items() if state.state not in TERMINAL_STATES]


def _words(status: JobStatus) -> str:
    """Why the newest block ended, as far as anybody knows."""
    code = "" if status.exit_code is None else f"exit code {status.exit_code}"
    known = (status.message, code, (status.stderr_summary or "")[-_LONGEST:])
    return "The newest block: " + ("; ".join(each.strip() for each in known if each) or "no reason is known")


def _as_failed(state: JobStatus) -> JobStatus:
    """The stock handler gives up when all blocks count as failed; by now ours says they do."""
    if state.state in (JobState.FAILED, JobState.MISSING):
        return state
    return JobStatus(JobState.FAILED, state.message, state.exit_code, state.stdout_path, state.stderr_path)
