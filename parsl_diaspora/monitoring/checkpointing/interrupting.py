"""What the end of a block would cost its running tasks: the pool controller lets go where that is least."""

from __future__ import annotations

import time
from collections.abc import Callable

from parsl_diaspora.monitoring.checkpointing.leaving import Leaving
from parsl_diaspora.monitoring.checkpointing.running import RunningTries
from parsl_diaspora.scaling.supply import Block
from parsl_diaspora.state import Picture


class TasksWithCheckpoints:
    """Implements `parsl_diaspora.scaling.letting_go.Interruptible`.

    Args:
        picture: of the run, which knows the managers.
        running: tries that can save themselves.
        leaving: asks them to leave.
        now: seconds that never go back.
    """

    def __init__(
        self,
        picture: Picture,
        running: RunningTries,
        leaving: Leaving,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._picture = picture
        self._running = running
        self._leaving = leaving
        self._now = now

    def cost(self, block: Block) -> float | None:
        """Seconds of work and of beginning again that are lost if the block goes now.

        None if a task there cannot be interrupted.
        """
        lost = 0.0
        for name in block.managers:
            manager = self._picture.managers.get(name)
            for key in manager.running if manager is not None else ():
                known = self._running.of(*key)
                if known is None or not known.can_be_interrupted:
                    return None
                lost += self._now() - known.safe_since + known.seconds
        return lost

    def ask_to_save(self, block: Block) -> None:
        """Ask the tasks of a block that is to go to save themselves and end."""
        self._leaving.leave(block.executor, block.block, f"its block goes: {block.draining}")
