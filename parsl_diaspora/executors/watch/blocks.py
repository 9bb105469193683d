"""Blocks change their state: said once each."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from parsl_diaspora.events import BlockLost, BlockSeen
from parsl_diaspora.executors.watch.watched import Watched
from parsl_diaspora.state import Live


class Blocks:
    """The blocks of an executor.

    Args:
        executor: whose they are.
        live: of the run.

    Attributes:
        why: blocks that were ended by us, with the reason.
    """

    def __init__(self, executor: Watched, live: Live) -> None:
        self.why: dict[str, str] = {}
        self._executor = executor
        self._live = live
        self._states: dict[str, JobState] = {}
        self._told_dead: set[str] = set()
        self._asking = threading.Lock()

    def look(self, status: Mapping[str, JobStatus]) -> None:
        """Say what has changed."""
        for block, each in list(status.items()):
            # What was scaled in does not come back: a status from before may still be on its way.
            if self._states.get(block) not in {each.state, JobState.SCALED_IN}:
                self._states[block] = each.state
                self._say(block, each)

    def end(self, block: str, why: str) -> None:
        """End a block's job, and remember why."""
        self.why[block] = f"ended by parsl_diaspora: {why}"
        self._executor.end_block(block)

    def has_ended(self, block: str) -> bool:
        """Whether Parsl, or the provider when asked, says so."""
        return self._states.get(block) in TERMINAL_STATES or block in self._told_dead

    def ask_provider(self, block: str) -> None:
        """Find out more quickly than Parsl does whether a block has ended; the answer comes later."""
        job = self._executor.blocks_to_job_id.get(block)
        if job is None or self.has_ended(block) or not self._asking.acquire(blocking=False):
            return  # a question waits for its answer already: batch systems can be slow
        name = f"diaspora-block-status-{self._executor.label}"
        threading.Thread(target=self._ask, args=(block, job), name=name, daemon=True).start()

    def _ask(self, block: str, job: object) -> None:
        try:
            (status,) = self._executor.provider.status([job])
            if status.state in TERMINAL_STATES:
                self._told_dead.add(block)
        except Exception as error:  # noqa: BLE001 - the batch system may fail in any way; then less is known
            self._live.absorb(f"status of blocks of {self._executor.label}", error)
        finally:
            self._asking.release()

    def _say(self, block: str, status: JobStatus) -> None:
        job = str(self._executor.blocks_to_job_id.get(block, ""))
        label, state = self._executor.label, status.status_name
        if status.state not in TERMINAL_STATES:
            self._live.say(BlockSeen(executor=label, block=block, state=state, job=job))
            return
        expected = status.state == JobState.SCALED_IN
        message = self.why.get(block) or status.message or ""
        if not message and not expected:
            message = status.stderr_summary or ""
        self._live.say(
            BlockLost(
                executor=label,
                block=block,
                state=state,
                job=job,
                exit_code=status.exit_code,
                message=message[-500:],
                expected=expected,
            )
        )
