"""A pattern as a tree, and the view that it has of an event."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Literal, Union

import msgspec

from parsl_diaspora.events.envelope import Event, Unknown
from parsl_diaspora.fabric.triggers.rules import Rule


class _Missing(Enum):
    MISSING = "missing"


#: What stands for the value of a field that is not there.
MISSING: Final = _Missing.MISSING
Missing = Literal[_Missing.MISSING]


class Leaf(msgspec.Struct, frozen=True):
    """Rules of one field; one that fits is enough.

    Attributes:
        rules: in the order in which they are written.
    """

    rules: tuple[Rule, ...]


class Group(msgspec.Struct, frozen=True):
    """Fields of one object; all must fit.

    Attributes:
        fields: name and what is asked of it.
        either: alternatives, of which one must fit.
    """

    fields: tuple[tuple[str, Node], ...]
    either: tuple[Group, ...] = ()


Node = Union[Leaf, Group]  # noqa: UP007 - evaluated at run time on Python 3.10


def plain(event: Event) -> dict[str, Any]:
    """An event as plain data: its kind, its id, and all fields that are known, defaults too.

    Example:
        >>> from parsl_diaspora.events import TaskEnded
        >>> fields = plain(TaskEnded(task=3, boot="ab", seq=1))
        >>> fields["kind"], fields["id"], fields["outcome"], "node" in fields
        ('task.ended', 'ab-1', 'done', False)
    """
    if isinstance(event, Unknown):
        return {**event.data, "kind": event.said_kind, "id": event.id}
    fields: dict[str, Any] = _plain(event)
    fields["id"] = event.id
    return fields


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        tag = {value.__struct_config__.tag_field: value.__struct_config__.tag}
        known = {name: _plain(item) for name, item in fields if item is not None}
        return {**tag, **known} if value.__struct_config__.tag_field else known
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
