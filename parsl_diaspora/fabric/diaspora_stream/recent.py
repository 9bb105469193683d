"""Which events came lately, so that one which was sent twice is read once."""

from __future__ import annotations

from collections import deque

LATELY = 100_000


class Recent:
    """Remembers the ids of the newest events.

    Args:
        size: how many.

    Example:
        >>> recent = Recent()
        >>> recent.add("ab-1"), recent.add("ab-2"), recent.add("ab-1")
        (True, True, False)
    """

    def __init__(self, size: int = LATELY) -> None:
        self._size = size
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def add(self, event: str) -> bool:
        """Remember an id; whether it is new."""
        if event in self._ids:
            return False
        self._ids.add(event)
        self._order.append(event)
        if len(self._order) > self._size:
            self._ids.remove(self._order.popleft())
        return True
