"""A block that runs on although its managers are lost, while tasks wait: it makes place for another.

A manager that is stopped or hangs misses its heartbeats, and the interchange sends its tasks back. Its job
does not end, so no block would take its place, and the tasks would wait for a manager for ever.
"""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.steps import Steps
from parsl_diaspora.executors.watch.blocks import Blocks
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.watched import Watched

#: Seconds beyond the heartbeat threshold, within which a manager that lives on ends by itself.
TIME_TO_END = 10.0


class Deserted:
    """Ends blocks that had managers and have none any more.

    Args:
        executor: whose they are.
        clock: time.
        managers: of the executor.
        blocks: of the executor.
    """

    def __init__(self, executor: Watched, clock: Clock, managers: Managers, blocks: Blocks) -> None:
        self._executor = executor
        self._steps = Steps(clock)
        self._managers = managers
        self._blocks = blocks
        # Blocks that have served, with the seconds without a manager since.
        self._alone: dict[str, float] = {}

    def look(self) -> None:
        """One look at the blocks of managers that were there."""
        step = self._steps.next()
        serving = {str(each["block_id"]) for each in self._managers.present.values()}
        self._alone = {
            block: 0.0 if block in serving else seconds + step
            for block, seconds in (dict.fromkeys(serving, 0.0) | self._alone).items()
            if not self._blocks.has_ended(block) and block not in self._blocks.why
        }
        if not self._executor.tasks:
            return
        patience = self._executor.heartbeat_threshold + TIME_TO_END
        for block, seconds in self._alone.items():
            if seconds >= patience:
                self._blocks.end(block, f"it has had no manager for {patience:g} s, and runs on")
