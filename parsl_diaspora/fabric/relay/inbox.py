"""A client's orders: each is handed over once, in a thread of its own, and then acknowledged."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from parsl_diaspora.fabric.relay.wire import Done, Order

logger = logging.getLogger(__name__)

#: Takes an order's message. What it raises goes back to whoever gave the order.
OnOrder = Callable[[dict[str, Any]], None]
REMEMBERED = 1000
_PROBLEM_LIMIT = 300


class Inbox:
    """Runs a callback for each new order.

    Args:
        on_order: the callback; None if no orders are taken.
        ring: called when an answer is ready to be sent.
    """

    def __init__(self, on_order: OnOrder | None, ring: Callable[[], None]) -> None:
        self._on_order = on_order
        self._ring = ring
        self._waiting: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self._known: dict[str, Done | None] = {}
        self._thread: threading.Thread | None = None
        self.answers: deque[Done] = deque()

    def take(self, order: Order) -> None:
        """An order came, perhaps again: then its answer was lost on the way, or is not ready."""
        if self._on_order is None:
            return
        if order.order in self._known:
            if answer := self._known[order.order]:
                self.answers.append(answer)
            return
        self._remember(order)
        self._waiting.put(order)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="diaspora-orders", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._waiting.put(None)

    def _remember(self, order: Order) -> None:
        self._known[order.order] = None
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def _run(self) -> None:
        while (order := self._waiting.get()) is not None:
            answer = Done(order.order, self._problem(order))
            if order.order in self._known:
                self._known[order.order] = answer
            self.answers.append(answer)
            self._ring()

    def _problem(self, order: Order) -> str:
        try:
            if self._on_order is not None:
                self._on_order(order.message)
        except Exception as error:
            logger.exception("An order could not be carried out.")
            return f"{type(error).__name__}: {error}"[:_PROBLEM_LIMIT]
        return ""
