"""The saves of a try whose state is files that its program writes."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from parsl_diaspora.checkpoint import Manifest, Saved
from parsl_diaspora.executors.supervision.board import SAVE
from parsl_diaspora.monitoring.worker.checkpoints import ASKED_FOR, TaskCheckpoints
from parsl_diaspora.monitoring.worker.stopping import Leave

if TYPE_CHECKING:
    from parsl_diaspora.checkpoint.instructions import Instructions
    from parsl_diaspora.executors.launch import Launch, Report
    from parsl_diaspora.executors.supervision.board import Slot


class FileCheckpoints(TaskCheckpoints):
    """What one try does with its program's files. It goes on while they are written, so nothing is copied.

    Args:
        instructions: that came with the try.
        launch: of the try.
        report: tells where it runs.
        slot: this worker's place on the board; None if there is none.
    """

    def __init__(
        self, instructions: Instructions, launch: Launch, report: Report, slot: Slot | None = None
    ) -> None:
        super().__init__(msgspec.structs.replace(instructions, copy=False), launch, report, slot)

    def restore_files(self) -> Collection[str] | None:
        """Put the files of the newest whole save in place; their names, or None if there is none.

        Raises:
            StateNotRestored: one cannot be written.
        """
        state = self.restore(None)
        return list(state) if isinstance(state, Mapping) else None

    def save_files(self, files: Mapping[str, Any], *, final: bool) -> bool:
        """Save files and wait until they are safe; whether they are.

        Raises:
            StateNotSavable: one of them cannot be read.
        """
        self._begin_if_not_begun()
        before, answers = self._saver.newest, self._is_asked(SAVE)
        taken = self._saver.save(files, final=final)
        self._since = max(self._since, time.monotonic())
        self._answered = answers
        return taken and self._saver.newest is not before

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return self.should_checkpoint()

    def must_leave(self) -> bool:
        """Whether the task must leave its place."""
        return self.should_exit()

    def leaving(self) -> BaseException:
        """What ends a try whose task leaves."""
        return Leave(self._why_leave() or ASKED_FOR)

    @property
    def has_progressed(self) -> bool:
        """Whether this try has saved anything but what it began with."""
        newest = self._saver.newest
        return newest is not None and _content(newest) != _content(self.restored)

    def saved(self, saved: Saved) -> None:
        """A save is safe."""
        super().saved(msgspec.structs.replace(saved, stopped=0.0))


def _content(manifest: Manifest | None) -> list[Any]:
    """What a save holds, wherever its chunks are."""
    if manifest is None:
        return []
    return [[(leaf.name, leaf.sizes) for leaf in manifest.leaves], [ref.digest for ref in manifest.chunks]]
