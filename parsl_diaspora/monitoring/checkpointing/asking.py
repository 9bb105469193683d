"""Running tries are asked to save their state, or to leave: through the supervisors of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from parsl_diaspora.monitoring.cancelling.stops import GRACE
from parsl_diaspora.monitoring.checkpointing.running import RunningTry
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.supervisor_orders import give_order, orders_of

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.relay import RunRelay


class Asking:
    """Asks tries.

    Args:
        errands: does what takes files.
        executors: by label.
        relay: what carries orders to other hosts, if the run has it.
    """

    def __init__(
        self, errands: Errands, executors: Mapping[str, Any], relay: Callable[[], RunRelay | None]
    ) -> None:
        self._errands = errands
        self._executors = executors
        self._relay = relay

    def can_ask(self, executor: str) -> bool:
        """Whether the executor's nodes have supervisors that take orders."""
        return orders_of(self._executors.get(executor)) is not None

    def ask(self, running: RunningTry, what: int) -> bool:
        """Ask a try for something; whether there is a way to.

        Args:
            running: the try.
            what: see `parsl_diaspora.executors.supervision.board.Slot.ask`.
        """
        return self._order(running, {"kind": "ask", "what": what})

    def stop(self, running: RunningTry, reason: str, grace: float = GRACE) -> bool:
        """Stop a try as a cancelled task is stopped; whether there is a way to.

        Args:
            running: the try.
            reason: in words.
            grace: seconds from the signal to the end of its worker.
        """
        return self._order(running, {"kind": "stop", "reason": reason, "grace": grace})

    def _order(self, running: RunningTry, words: Mapping[str, Any]) -> bool:
        executor = self._executors.get(running.executor)
        message = {"task": running.task, "try": running.try_id, **words}
        return give_order(executor, running.manager, message, self._errands, self._relay())
