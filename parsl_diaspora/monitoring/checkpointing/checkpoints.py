"""The states of one run's tasks: workers are told where they keep them, and they go when their task is done.

`instructions` is called in Parsl's launch thread, so it does no I/O; what takes some is an errand.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from parsl_diaspora.checkpoint.instructions import Instructions
from parsl_diaspora.checkpoint_settings import Checkpoint, interval_seconds
from parsl_diaspora.events import DecisionMade, Event, TryFailed
from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.monitoring.checkpointing.asking import Asking
from parsl_diaspora.monitoring.checkpointing.failures_between import FailuresBetween
from parsl_diaspora.monitoring.checkpointing.keys import Keys, files_of
from parsl_diaspora.monitoring.checkpointing.leaving import Leaving
from parsl_diaspora.monitoring.checkpointing.migrations import Migrations
from parsl_diaspora.monitoring.checkpointing.running import RunningTries
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.monitoring.worker.stopping import BLOCK_ENDS
from parsl_diaspora.sizes import parse_seconds

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

DIRECTORY = "checkpoints"  # beside the run directories
LEFT = "left"


class Checkpoints:
    """What a run knows of the states of its tasks.

    Args:
        session: of the run.

    Attributes:
        running: tries that can save themselves.
        leaving: those of them that were asked to leave.
        migrations: those of them that move.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._spec = session.settings.checkpoint
        self._errands = Errands("diaspora-checkpoints", lambda error: session.absorb("checkpoints", error))
        self._keys = Keys()
        self._between = FailuresBetween()
        self.running = RunningTries(self._told_of)
        asking = Asking(self._errands, session.executors, lambda: session.relay)
        self.leaving = Leaving(self.running, asking)
        self.migrations = Migrations(session, self.running, asking, self._errands)
        self._told: dict[int, Instructions] = {}
        self._last = 0
        self._swept = False
        self._root = Path()

    def open(self, run_dir: Path) -> None:
        """Take note of Parsl's run directory."""
        self._root = run_dir.parent

    @property
    def shared(self) -> str:
        """Where all nodes keep states."""
        store = self._spec.store
        if store is None:
            return str(self._root / DIRECTORY)
        return store if ":" in store else str(Path(store).expanduser().absolute())

    # --- what tries are told ---

    def instructions(self, task: Record, options: Checkpoint) -> Instructions:
        """What the worker of a try is told. Each call is for a launch of its own."""
        spec = self._spec
        told = Instructions(
            key=self._keys.of(task, options),
            levels=tuple(level for level in (spec.local, self.shared) if level),
            launch=self._launch(),
            interval=interval_seconds(options.interval or spec.interval),
            between_failures=self._between.seconds(task["executor"]),
            keep=options.keep or spec.keep,
            quota=spec.quota_bytes,
            copy=spec.copy if options.copy is None else options.copy,
            compress=spec.compress,
            files=files_of(task, options),
            exit_code=options.exit_code,
            signal=options.signal,
        )
        self._told[task["id"]] = told
        if not self._swept:
            self._swept = True
            self._errands.run(self._sweep)
        return told

    def successor(self, task: Record, executor: str) -> Instructions | None:
        """What the worker of a running try's successor is told; None if the app has no checkpoints."""
        options = self._session.policies.of(task["func"]).options.checkpoint
        if options is None:
            return None
        told = self.instructions({**task, "executor": executor}, options)
        return msgspec.structs.replace(told, follows=True)

    def _launch(self) -> int:
        """Later launches have higher numbers, also when the clock is set back while the run lasts."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last

    # --- what becomes of states ---

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, in the thread that met it."""
        self.migrations.hear(event)
        if not self._told:
            return
        self._between.hear(event)
        self.running.hear(event)
        self.leaving.hear(event)

    def decided(self, task: Record, failed: TryFailed, decision: DecisionMade, *, tries: bool) -> None:
        """A try has failed, and this will be done: say why it left, and let a successor go on that is there.

        Args:
            task: Parsl's record.
            failed: how it ended.
            decision: is completed.
            tries: the task will be tried again.
        """
        if task["id"] not in self._told:
            return
        failure_class = decision.diagnosis.failure_class
        reason, left = self.leaving.forget(task["id"], task["try_id"]), failure_class == LEFT
        if left and reason:
            decision.reason = f"{reason}; {decision.reason}"
        if left and failed.block is not None and BLOCK_ENDS in failed.failure.message:
            decision.avoid = (*decision.avoid, f"block:{failed.block}")  # it would have to leave at once
        if not tries or not (left or is_infrastructure(failure_class)):
            return
        if (migration := self.migrations.take_over(task, left=left)) is not None:
            self.migrations.follow(decision, migration, left=left)

    def done(self, task: int) -> None:
        """A task has its result: nothing needs its states any more."""
        if (told := self._end(task)) is not None:
            self._errands.run(partial(_forget, told))

    def failed(self, task: int) -> None:
        """A task has failed for good: its states stay, as the next run of the program may go on from them."""
        self._end(task)

    def _end(self, task: int) -> Instructions | None:
        """What the last try of a task was told, if anything."""
        self._keys.forget(task)
        self.migrations.forget(task)
        return self._told.pop(task, None)

    def _told_of(self, task: int) -> bool:
        return task in self._told

    def _sweep(self) -> None:
        """Remove states that nobody has touched for as long as they are kept."""
        from parsl_diaspora.checkpoint.store import open_level

        level = open_level(self.shared)
        before = time.time() - parse_seconds(self._spec.keep_for)
        for key in level.all_keys():
            if level.touched(key) < before:
                level.remove_all(key)

    def close(self) -> None:
        """The run ends."""
        self._errands.close()


def _forget(told: Instructions) -> None:
    told.store().forget()
