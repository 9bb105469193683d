"""One event of each kind with all fields filled, for tests of fabrics, readers and exporters."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from parsl_diaspora.events import KINDS, Diagnosis, Event, Failure, Lesson


def sample_events() -> list[Event]:
    """One event of each kind, every field filled and told apart, as if published.

    Example:
        >>> events = sample_events()
        >>> len(events) == len(KINDS)
        True
        >>> all(event.source and event.task for event in events)
        True
    """
    return [sample_event(KINDS[kind]) for kind in sorted(KINDS)]


def sample_event(kind: type[Event]) -> Event:
    """An event of one kind with no field at its default, except its version."""
    numbers = itertools.count(10)  # no default is as large
    fields = {field.name: _sample(field, numbers) for field in msgspec.structs.fields(kind)}
    return kind(**{**fields, "version": kind.VERSION})


def _sample(field: Any, numbers: Iterator[int]) -> Any:
    number = next(numbers)
    if field.name == "diagnosis":
        return Diagnosis(
            **{inner.name: _sample(inner, numbers) for inner in msgspec.structs.fields(Diagnosis)}
        )
    if field.name == "failure":
        return Failure(**{inner.name: _sample(inner, numbers) for inner in msgspec.structs.fields(Failure)})
    if field.name == "lessons":
        return (Lesson(**{inner.name: _sample(inner, numbers) for inner in msgspec.structs.fields(Lesson)}),)
    default = None if field.default in (msgspec.NODEFAULT, None) else field.default
    if isinstance(default, bool):
        return not default
    return _by_type(str(field.type), f"{field.name} {number}", number)


def _by_type(annotation: str, text: str, number: int) -> Any:
    samples: list[tuple[str, Any]] = [
        ("tuple[str", (text, f"{text} more")),
        ("tuple[int", (number, number + 1)),
        ("dict[str, int]", {text: number}),
        ("dict[str, float]", {text: number + 0.25}),
        ("dict[str, str]", {text: f"{text} more"}),
        ("dict[str", {text: number, "nested": {"list": [1, 2.5, None, True]}}),
        ("int", number),
        ("float", number + 0.25),
        ("str", text),
    ]
    return next(value for word, value in samples if word in annotation)
