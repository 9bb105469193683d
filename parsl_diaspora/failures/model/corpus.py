"""Labelled failures: as lines of JSON, or as they stand in an event log with the class that a rule gave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import DecisionMade, Event, Failure, TryFailed
from parsl_diaspora.failures.context import NOTHING_KNOWN, Context
from parsl_diaspora.failures.taxonomy import CLASSES, current_name

#: A rule that is at least so sure of a class gives labels to learn from.
SURE = 0.9
LEARNED = "model"


class Example(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failure with its class.

    Attributes:
        label: its class.
        failure: as evidence.
        context: what was known beyond it.
        origin: the library, program or run that it comes from; what shares one is never on both sides of a
            split.
    """

    label: str
    failure: Failure
    context: Context = NOTHING_KNOWN
    origin: str = ""


def read_examples(path: Path) -> list[Example]:
    """The examples of a file, one a line.

    Raises:
        SettingsError: a line is no example, or its label is no class; says which line.
    """
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if line.strip():
            found.append(_example(line, f"{path}, line {number}"))
    return found


def _example(line: bytes, where: str) -> Example:
    try:
        example = msgspec.json.decode(line, type=Example)
    except msgspec.MsgspecError as error:
        hint = "Each line is JSON with 'label' and 'failure'."
        raise SettingsError(f"{where} is no labelled failure: {error}.", hint=hint) from error
    label = current_name(example.label)
    if label not in CLASSES:
        raise SettingsError(
            f"{where}: {label!r} is no class of failures.", hint="See docs/failures.md for all classes."
        )
    return msgspec.structs.replace(example, label=label)


def write_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples, one a line."""
    path.write_bytes(b"".join(msgspec.json.encode(example) + b"\n" for example in examples))


def from_events(events: Iterable[Event], *, sure: float = SURE) -> Iterator[Example]:
    """What a log has to teach: failures whose class a rule gave with certainty.

    Args:
        events: of the log.
        sure: the least confidence. What the model itself has guessed teaches it nothing.
    """
    failed: dict[str, TryFailed] = {}
    for event in events:
        if isinstance(event, TryFailed):
            failed[event.id] = event
        elif isinstance(event, DecisionMade):
            for cause in event.cause:
                told = event.diagnosis
                label = current_name(told.failure_class)
                if cause in failed and told.confidence >= sure and told.rule != LEARNED and label in CLASSES:
                    yield Example(label=label, failure=failed.pop(cause).failure, origin=f"run {event.run}")
