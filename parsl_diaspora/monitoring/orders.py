"""On the worker: orders from the submit side, handed to whoever takes their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.errors import FabricError

#: Takes an order's message, in a thread of its own. What it raises goes back to whoever gave the order.
Taker = Callable[[dict[str, Any]], None]

_takers: dict[str, Taker] = {}


def take_orders(kind: str, taker: Taker) -> None:
    """Let a function take all orders of one kind in this process, in place of any that took them before.

    Example:
        >>> heard = []
        >>> take_orders("note", heard.append)
        >>> take({"kind": "note", "text": "hello"})
        >>> heard
        [{'kind': 'note', 'text': 'hello'}]
        >>> forget_orders("note")
    """
    _takers[kind] = taker


def forget_orders(kind: str) -> None:
    """Take no more orders of that kind."""
    _takers.pop(kind, None)


def take(message: dict[str, Any]) -> None:
    """Hand an order to whoever takes its kind.

    Raises:
        FabricError: nobody does, here and now.
    """
    kind = message.get("kind")
    taker = _takers.get(kind) if isinstance(kind, str) else None
    if taker is None:
        raise FabricError(f"Nobody takes orders of kind {kind!r} in this process.")
    taker(message)
