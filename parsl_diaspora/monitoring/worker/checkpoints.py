"""On the worker: a running try saves its state, finds that of an earlier one, and sees that it must leave."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from parsl_diaspora.checkpoint import (
    Following,
    Heard,
    Identity,
    Interval,
    Manifest,
    Round,
    Save,
    Saved,
    Saver,
    restore,
)
from parsl_diaspora.checkpoint.state import check_likeness
from parsl_diaspora.errors import CheckpointDamaged, CheckpointError
from parsl_diaspora.events import (
    CheckpointLost,
    CheckpointRestored,
    CheckpointSaved,
    Event,
    MigrationDone,
    MigrationRound,
    TryStarted,
)
from parsl_diaspora.executors.supervision.board import COPY, GO, LEAVE, SAVE, STAY, Slot
from parsl_diaspora.monitoring.worker.place import block_ends
from parsl_diaspora.monitoring.worker.speaking import say
from parsl_diaspora.monitoring.worker.stopping import BLOCK_ENDS, Leave

if TYPE_CHECKING:
    from parsl_diaspora.checkpoint.instructions import Instructions
    from parsl_diaspora.executors.launch import Launch, Report

_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between looks for saves at a store that cannot be asked
_FINISH = 10.0  # seconds that a save may still take when its try has failed
_POLL = 0.01  # seconds between looks of a successor
_LOOKS = 300  # of a successor at a last state that cannot be read, until it takes an older one
_FAILED_PAUSE = 5.0  # seconds without a save after one that came to nothing
ASKED_FOR = "it was asked to"


class TaskCheckpoints(Heard):
    """What one try does with states. Everything but `saved` and `failed` is called by the task's own thread.

    Args:
        instructions: that came with the try.
        launch: of the try.
        report: tells where it runs.
        slot: this worker's place on the board; None if there is none, so that nobody can ask.

    Attributes:
        restored: what the save consists of that the try goes on from; None if it began anew.
    """

    def __init__(
        self, instructions: Instructions, launch: Launch, report: Report, slot: Slot | None = None
    ) -> None:
        self._instructions = instructions
        self._launch, self._report, self._slot = launch, report, slot
        self._interval = Interval(instructions.interval, instructions.between_failures)
        self._ends = block_ends()
        self._since = time.monotonic()
        self._answered = False
        self._begun = False
        self._expected = 0
        self.restored: Manifest | None = None
        self._follows = instructions.follows
        self._store = instructions.store()
        identity = Identity(
            run=launch.run, task=launch.task, attempt=launch.try_id, launch=instructions.launch
        )
        self._saver = Saver(
            self._store,
            identity,
            self,
            keep=instructions.keep,
            quota=instructions.quota,
            copy=instructions.copy,
            compress=instructions.compress,
        )

    # --- what the app asks ---

    def restore(self, default: Any) -> Any:
        """The newest state that is whole, or the default."""
        if self._follows:
            return self._follow(default)
        began = time.perf_counter()
        try:
            self._begin()
            found = restore(self._store, default, self._lost, self._instructions.launch)
        except OSError as error:
            self._say_lost(0, "no place that keeps saves can be read; the task begins anew", error)
            return default
        if found is None:
            self._expected = _size_of_arrays(default)
            return default
        self._expected = found.manifest.size
        self._saver.go_on_from(found.save, found.manifest)
        self.restored = found.manifest
        self._since = time.monotonic()
        self._say(
            CheckpointRestored(
                number=found.save.number,
                saved_run=found.manifest.run,
                saved_try=found.manifest.attempt,
                age=max(0.0, time.time() - found.manifest.time),
                size=found.manifest.size,
                read=found.read,
                seconds=time.perf_counter() - began,
            )
        )
        return found.state

    def _follow(self, default: Any) -> Any:
        """The state of the try that this one succeeds, as soon as that has left.

        Raises:
            Leave: nobody needs a successor any more.
        """
        following = Following(self._store, self._launch.run, self._launch.try_id - 1)
        last, unreadable = None, 0
        while not following.is_final and not self._is_asked(GO) and unreadable < _LOOKS:
            if self._is_asked(STAY):
                raise Leave("nobody needs it here any more")
            last = self._look(following) or last
            if not following.is_final:
                unreadable += following.has_left
                time.sleep(_POLL)
        self._begin()
        if not following.is_final:
            last = self._look(following) or last
        self._follows = False
        say(self._launch, self._report, TryStarted(pid=self._report.pid, manager_pid=os.getppid()))
        if following.held is None or last is None:
            return self.restore(default)
        save, manifest = following.held
        check_likeness(manifest.leaves, default)
        try:
            state = following.state()
        except (OSError, CheckpointDamaged) as error:
            self._lost(save, error)
            return self.restore(default)
        self._saver.go_on_from(save, manifest)
        self.restored = manifest
        self._since = time.monotonic()
        downtime = max(0.0, time.time() - manifest.time)
        self._say(MigrationDone(rounds=last.number, read=last.read, downtime=downtime, final=manifest.final))
        return state

    def _look(self, following: Following) -> Round | None:
        found = following.look()
        if found is not None:
            self._say(
                MigrationRound(
                    number=found.number,
                    save=found.save.number,
                    size=found.size,
                    read=found.read,
                    seconds=found.seconds,
                    behind=found.behind,
                )
            )
        return found

    def save(self, state: Any) -> bool:
        """Save a state; whether it was taken. If the task must leave, this does not return."""
        if self._follows:  # the app never asks for a state, so it cannot go on from one
            raise Leave("it does not restore a state, so it cannot go on from one here")
        leaves = self._why_leave()
        self._begin_if_not_begun()
        taken = self._saver.save(state, final=bool(leaves))
        if taken:
            self._since = time.monotonic()
        self._answered = self._is_asked(SAVE)
        if leaves and (taken or self._saver.is_fenced):  # else it is better off where it is
            raise Leave(leaves)
        return taken

    def should_checkpoint(self) -> bool:
        """Whether it is time to save."""
        waited = time.monotonic() - self._since
        if waited >= 0.0 and self._why_leave():
            return True
        if self._saver.is_busy:
            return False
        if self._slot is not None and self._slot.asked and self._is_asked_for_save():
            return True
        if self._expected and waited >= self._interval.seconds / 2:
            self._saver.prepare(self._expected)
            self._expected = 0
        return waited >= self._interval.seconds

    def should_exit(self) -> bool:
        """Whether the task must leave its place."""
        return bool(self._why_leave())

    @property
    def is_waiting(self) -> bool:
        """Whether this is a successor that has not begun to go on."""
        return self._follows

    def close(self, *, done: bool, stopped: bool = False) -> None:
        """The try has ended; if the task is done, what is kept near is not needed, as the last level has it.

        What that keeps goes when the submit side has the result.
        """
        if not done and not stopped:
            self._saver.wait(_FINISH)
        self._saver.close()
        for level in self._store.levels[:-1] if done else ():
            level.remove_all(self._store.key)

    # --- why ---

    def _is_asked(self, what: int) -> bool:
        return self._slot is not None and self._slot.asked == what

    def _is_asked_for_save(self) -> bool:
        if not self._is_asked(SAVE):
            self._answered = False
        return self._is_asked(COPY) or (self._is_asked(SAVE) and not self._answered)

    def _why_leave(self) -> str:
        """Why the task must leave, in words; empty if it need not."""
        if self._is_asked(LEAVE):
            return ASKED_FOR
        if self._saver.is_fenced:
            return "a later try of it has begun elsewhere"
        if self._ends is not None and self._ends - time.time() < self._interval.margin:
            return f"{BLOCK_ENDS} in {max(0.0, self._ends - time.time()):.0f} s"
        return ""

    # --- the store ---

    def _begin(self) -> None:
        """Mark that this try has begun, with patience for a store that is away for a moment."""
        for pause in (*_PAUSES, None):
            try:
                self._store.begin(self._instructions.launch)
            except OSError:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                self._begun = True
                return

    def _begin_if_not_begun(self) -> None:
        if self._begun:
            return
        try:
            self._store.begin(self._instructions.launch)
        except OSError:
            return  # saving will say so
        self._begun = True

    # --- what is heard and told ---

    def saved(self, saved: Saved) -> None:
        """A save is safe."""
        self._interval.learn(saved.stopped + saved.cpu, saved.seconds)
        self._since = time.monotonic()
        self._say(
            CheckpointSaved(
                number=saved.save.number,
                size=saved.size,
                written=saved.written,
                stopped=saved.stopped,
                seconds=saved.seconds,
                level=saved.level,
                levels=saved.levels,
                final=saved.final,
            )
        )

    def failed(self, reason: str, error: BaseException) -> None:
        """A save came to nothing."""
        self._since = time.monotonic() + _FAILED_PAUSE
        self._say_lost(0, reason, error)

    def _lost(self, save: Save, error: Exception) -> None:
        self._say_lost(save.number, "it cannot be used; an older one is tried", error)

    def _say_lost(self, number: int, reason: str, error: BaseException) -> None:
        self._say(CheckpointLost(number=number, reason=reason, error=f"{type(error).__name__}: {error}"))

    def _say(self, event: Event) -> None:
        say(self._launch, self._report, event)


def _size_of_arrays(state: Any) -> int:
    """Bytes of what takes most of the room, as far as that is easily told."""
    values = state.values() if isinstance(state, Mapping) else (state,)
    return sum(int(getattr(value, "nbytes", 0)) for value in values)


def checkpoints_of(launch: Launch, report: Report, slot: Slot | None) -> TaskCheckpoints | None:
    """What a try does with states; None, after saying why, if they can be kept nowhere from here."""
    if launch.checkpoint is None:
        return None
    try:
        if launch.checkpoint.files:
            from parsl_diaspora.monitoring.worker.program_saves import FileCheckpoints

            return FileCheckpoints(launch.checkpoint, launch, report, slot)
        return TaskCheckpoints(launch.checkpoint, launch, report, slot)
    except CheckpointError as error:
        say(launch, report, CheckpointLost(reason="states can be kept nowhere from here", error=str(error)))
        return None
