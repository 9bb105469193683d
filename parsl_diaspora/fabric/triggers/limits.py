"""What a trigger is not to do again: an event that came twice, or one like another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MOST_REMEMBERED = 100_000
_NOT_THERE = object()


class Recent:
    """Whether something was met a while ago. The oldest are forgotten when there are too many.

    Args:
        span: seconds that something is remembered for.
        most: how many are remembered.

    Example:
        >>> recent = Recent(10.0)
        >>> [recent.is_new("a", now) for now in (0, 9, 10)]
        [True, False, True]
    """

    def __init__(self, span: float = float("inf"), most: int = MOST_REMEMBERED) -> None:
        self._span = span
        self._most = most
        self._met: dict[Any, float] = {}

    def is_new(self, key: Any, now: float) -> bool:
        """Whether it was not met within the span; takes note of it then."""
        met = self._met.get(key)
        if met is not None and now - met < self._span:
            return False
        self._met.pop(key, None)
        self._met[key] = now  # at the end, so that the oldest is the first
        if len(self._met) > self._most:
            del self._met[next(iter(self._met))]
        return True


def values_at(fields: dict[str, Any], paths: Sequence[str]) -> tuple[str, ...]:
    """What plain data has at these paths, in a form that can be compared.

    Example:
        >>> values_at({"failure": {"name": "x"}, "task": 3}, ["failure.name", "node"])
        ("'x'", '')
    """
    return tuple("" if (found := _at(fields, path)) is _NOT_THERE else repr(found) for path in paths)


def _at(fields: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(fields, dict) or name not in fields:
            return _NOT_THERE
        fields = fields[name]
    return fields
