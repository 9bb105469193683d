"""A pattern: which events are meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from parsl_diaspora.events.envelope import Event
from parsl_diaspora.fabric.triggers.compiled import Fields
from parsl_diaspora.fabric.triggers.grammar import parse, read_pattern
from parsl_diaspora.fabric.triggers.tree import MISSING, Group, Leaf, plain

_SHOWN = 200


class Mismatch(msgspec.Struct, frozen=True):
    """The first rules of a pattern that an event does not fit.

    Attributes:
        path: the field, as ``failure.message``.
        rules: what the pattern asks of it, as JSON.
        value: what the event has there, as JSON; empty if it has nothing.
    """

    path: str
    rules: str
    value: str

    def __str__(self) -> str:
        has = f"is {self.value}" if self.value else "is not there"
        return f"{self.path} {has}, which does not fit {self.rules}"


class Pattern:
    """Which events are meant, in the grammar of AWS EventBridge's event patterns.

    An event has the fields of its JSON form, its kind and its id; what is not known is not there. In a list
    one element that fits is enough; fields below it are asked of the same element.

    Args:
        pattern: the pattern as plain data, or as JSON.

    Raises:
        PatternError: it is no pattern.

    Example:
        >>> from parsl_diaspora.events import TaskEnded
        >>> pattern = Pattern({"kind": ["task.ended"], "error": [{"prefix": "Memory"}]})
        >>> pattern.matches(TaskEnded(error="MemoryError: no"))
        True
        >>> print(pattern.why_not(TaskEnded(error="KeyError: 3")))
        error is "KeyError: 3", which does not fit [{"prefix": "Memory"}]
    """

    __slots__ = ("_tree", "matches")

    def __init__(self, pattern: Mapping[str, Any] | str) -> None:
        self._tree = parse(read_pattern(pattern) if isinstance(pattern, str) else pattern)
        #: Whether an event, or plain data of one, fits.
        self.matches = Fields(self._tree)

    def why_not(self, event: Event | Mapping[str, Any]) -> Mismatch | None:
        """The first rules that it does not fit; None if it fits."""
        if self.matches(event):
            return None
        return _first(self._tree, plain(event) if isinstance(event, Event) else dict(event), "")


def _first(group: Group, value: Any, path: str) -> Mismatch | None:
    fields = value if isinstance(value, dict) else {}
    for name, node in group.fields:
        below, field = f"{path}{name}", fields.get(name, MISSING)
        if Fields(Group(((name, node),)))(value):
            continue
        if isinstance(node, Group) and not isinstance(field, list):
            return _first(node, field, f"{below}.")
        return Mismatch(below, _rules(node), "" if field is MISSING else _json(field))
    if group.either and not any(Fields(each)(value) for each in group.either):
        misses = [_first(each, value, path) for each in group.either]
        return Mismatch(f"{path}$or", "; ".join(str(miss) for miss in misses), _json(value))
    return None


def _rules(node: Leaf | Group) -> str:
    if isinstance(node, Leaf):
        return f"[{', '.join(rule.text for rule in node.rules)}]"
    parts = [f'"{name}": {_rules(below)}' for name, below in node.fields]
    return f"{{{', '.join(parts)}}}" if parts else "its alternatives"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
