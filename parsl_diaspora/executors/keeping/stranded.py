"""Tasks at an executor that has no block, and none to come, do not wait for ever.

Stock Parsl keeps them: with ``max_blocks=0``, with a strategy that starts nothing, or with a batch system
that refuses every block while the program's own error handler looks away, their futures never end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from parsl_diaspora.clock import Clock
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.executors.errors import NoBlocks
from parsl_diaspora.executors.steps import Steps


class Waiting(Protocol):
    """What is asked of an executor."""

    label: str

    def outstanding(self) -> int:
        """Tasks that have not ended."""
        ...

    @property
    def active_blocks(self) -> list[str]:
        """Blocks that run or wait to run."""
        ...

    def connected_managers(self) -> list[dict[str, Any]]:
        """Managers that take tasks, whoever has started them."""
        ...

    @property
    def why_no_blocks(self) -> str:
        """What is known of why there are none, in words."""
        ...

    def end_all_tasks(self, make_error: Callable[[], DiasporaError], why: str) -> None:
        """End all tasks."""
        ...


class Stranded:
    """Ends the tasks of an executor that had no block for a time.

    Args:
        clock: for the time.
        patience: seconds.

    Attributes:
        found: tasks had to be ended, and there has been no block since.
    """

    def __init__(self, clock: Clock, patience: float) -> None:
        self._steps = Steps(clock)
        self._patience = patience
        self._waited = 0.0
        self.found = False

    def look(self, executor: Waiting) -> None:
        """One look; several a minute are enough."""
        step = self._steps.next()
        if executor.active_blocks:
            self.found = False  # the time is not forgotten: a block that ends at once is none
        elif not executor.outstanding():
            self._waited = 0.0
        else:
            self._wait(executor, step)

    def _wait(self, executor: Waiting, step: float) -> None:
        self._waited += step
        if self._waited < self._patience:
            return
        self._waited = 0.0
        if not executor.connected_managers():
            self.found = True
            why = f"it had no block, neither running nor queued, for {self._patience:g} s"
            known = executor.why_no_blocks
            executor.end_all_tasks(lambda: _no_blocks(executor.label, why, known), why)


_HINT = "Its provider needs init_blocks or max_blocks of at least 1, and a strategy that starts blocks."
_HINT_IF_TOLD = "What has been said of its blocks must be put right before anything can run there."


def _no_blocks(label: str, why: str, known: str) -> NoBlocks:
    return NoBlocks(
        f"Executor {label!r} cannot run its tasks: {why}. {known}".rstrip(),
        executor=label,
        hint=_HINT_IF_TOLD if known else _HINT,
    )
