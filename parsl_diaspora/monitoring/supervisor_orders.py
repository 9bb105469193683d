"""Orders to the supervisor of a manager's node: by file and, on other hosts, through the relay."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from parsl_diaspora.monitoring.errands import Errands

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.relay import RunRelay


def orders_of(executor: Any) -> Any:
    """Where orders to an executor's supervisors are put; None if it has none."""
    return getattr(executor, "orders", None)


def give_order(
    executor: Any, manager: str | None, message: Mapping[str, Any], errands: Errands, relay: RunRelay | None
) -> bool:
    """Tell the supervisor of a manager; whether there is a way to.

    Args:
        executor: that has the manager.
        manager: its id; None if it is not known.
        message: plain data with a ``kind``.
        errands: does what takes files.
        relay: what carries orders to other hosts, if the run has it.
    """
    box = orders_of(executor)
    if box is None or not manager:
        return False
    to = {"manager": manager}
    errands.run(partial(box.give, to, message))
    if relay is not None and not executor.is_local:
        errands.run(partial(relay.order, to, message))
    return True
