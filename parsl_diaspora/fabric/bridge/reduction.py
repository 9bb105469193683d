"""Rules by which several samples become one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from functools import cache
from typing import Any, Protocol, get_args

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import (
    BlockLost,
    Event,
    EventsCompacted,
    EventsDamaged,
    EventsLost,
    ManagerLost,
    SamplesReduced,
    Unknown,
)
from parsl_diaspora.events.envelope import ENVELOPE_FIELDS, PLACE_FIELDS, Topic
from parsl_diaspora.sizes import parse_seconds

SAMPLES: tuple[str, ...] = ("resources",)  # topics whose events are samples, unless others are named
NET_WINDOW = 10.0
_ENDS = (ManagerLost, BlockLost)
_OUR_WORDS = (SamplesReduced, EventsCompacted, EventsLost, EventsDamaged)  # about events, never samples
_ENVELOPE = frozenset((*ENVELOPE_FIELDS, "kind"))
_HINT = "Write it as in 'last:10s', 'stats:30s', 'net' or 'net:1m'."


class Held(Protocol):
    """What several samples have become so far.

    Attributes:
        event: the last one.
    """

    event: Event

    def add(self, event: Event) -> None:
        """Take one more of the same group."""
        ...

    def said(self) -> Event:
        """The one event that is said of them; it has the number of the last one."""
        ...


class Last:
    """Only the last one counts."""

    def __init__(self, event: Event) -> None:
        self.add(event)

    def add(self, event: Event) -> None:
        """It is the last one now."""
        self.event = event

    def said(self) -> Event:
        """The last one, as it came."""
        return self.event


class Stats(Last):
    """Count, least, mean and greatest number of each field. A single sample goes on as it is."""

    def __init__(self, event: Event) -> None:
        self._first = event
        self._count = 0
        self._counts: dict[str, int] = {}
        self._sums: dict[str, float] = {}
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}
        super().__init__(event)

    def add(self, event: Event) -> None:
        """Count its numbers in."""
        super().add(event)
        self._count += 1
        for name, value in numbers_of(event).items():
            self._counts[name] = self._counts.get(name, 0) + 1
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._low[name] = min(value, self._low.get(name, value))
            self._high[name] = max(value, self._high.get(name, value))

    def said(self) -> Event:
        """All of them in one event."""
        if self._count == 1:
            return self.event
        envelope = {name: getattr(self.event, name) for name in ENVELOPE_FIELDS if name != "version"}
        return SamplesReduced(
            **envelope,
            of=_kind(self.event),
            first=self._first.seq,
            last=self.event.seq,
            count=self._count,
            since=self._first.time,
            counts=self._counts,
            low=self._low,
            mean={name: total / self._counts[name] for name, total in self._sums.items()},
            high=self._high,
        )


class Reduction:
    """One rule: which events it takes, which of them belong together, and what becomes of them.

    Args:
        rule: ``last:WINDOW`` keeps the last of each source, kind and place; ``stats:WINDOW`` says count,
            least, mean and greatest number of the same, where events have numbers; ``net`` or ``net:WINDOW``
            keeps the last state of each place, whatever kind tells it. Windows are spans of the events' own
            time.
        topics: those that it applies to. The end of a manager or block is no sample: only ``net`` takes it.

    Raises:
        FabricError: there is no such rule, or no such topic.

    Example:
        >>> reduction = Reduction("stats:30s")
        >>> reduction.name, reduction.window, reduction.topics
        ('stats', 30.0, frozenset({'resources'}))
    """

    def __init__(self, rule: str, topics: Collection[str] = SAMPLES) -> None:
        self.name, _, window = rule.strip().partition(":")
        if self.name not in _RULES or not (window or self.name == "net"):
            raise FabricError(f"{rule!r} is no rule to reduce events by.", hint=_HINT)
        self.window = _window(rule, window) if window else NET_WINDOW
        self.topics = known_topics(topics)
        self._takes, self.group, self.hold = _RULES[self.name]

    def takes(self, event: Event) -> bool:
        """Whether the rule applies to an event."""
        return event.topic in self.topics and type(event) not in _OUR_WORDS and self._takes(event)

    def bucket(self, event: Event) -> int:
        """Number of the window that an event lies in."""
        return int(event.time // self.window)


def known_topics(topics: Collection[str]) -> frozenset[str]:
    """Topics, checked.

    Raises:
        FabricError: one of them is none.
    """
    if unknown := sorted(set(topics) - set(get_args(Topic))):
        hint = f"The topics are: {', '.join(get_args(Topic))}."
        raise FabricError(f"{', '.join(map(repr, unknown))} is no topic.", hint=hint)
    return frozenset(topics)


def numbers_of(event: Event) -> dict[str, float]:
    """The fields of the event's own that hold a number.

    Example:
        >>> from parsl_diaspora.events import ManagerSeen
        >>> numbers_of(ManagerSeen(task=3, workers=8, python_version="3.12"))
        {'workers': 8}
    """
    if type(event) is Unknown:
        fields = [(name, value) for name, value in event.data.items() if name not in _ENVELOPE]
    else:
        fields = [(name, getattr(event, name)) for name in _own_fields(type(event))]
    return {name: value for name, value in fields if type(value) in (int, float)}


@cache
def _own_fields(kind: type[Event]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name not in _ENVELOPE)


def _window(rule: str, text: str) -> float:
    try:
        window = parse_seconds(text)
    except ValueError as error:
        raise FabricError(f"{rule!r} is no rule to reduce events by: {error}", hint=_HINT) from error
    if window <= 0:
        raise FabricError(f"{rule!r} is no rule to reduce events by: its window is empty.", hint=_HINT)
    return window


def _kind(event: Event) -> str:
    return event.said_kind if type(event) is Unknown else event.kind


def _place(event: Event) -> tuple[Any, ...]:
    return (event.run, event.task, *(getattr(event, name) for name in PLACE_FIELDS))


def _same_kind(event: Event) -> Hashable:
    return _kind(event), _place(event)


def _same_place(event: Event) -> Hashable:
    """What tells of a manager, of a block or of a node are three things, wherever they are."""
    return _kind(event).partition(".")[0], _place(event)


def _is_no_end(event: Event) -> bool:
    return not isinstance(event, _ENDS)


def _has_numbers(event: Event) -> bool:
    return _is_no_end(event) and bool(numbers_of(event))


_Rule = tuple[Callable[[Event], bool], Callable[[Event], Hashable], Callable[[Event], Held]]
_RULES: dict[str, _Rule] = {
    "last": (_is_no_end, _same_kind, Last),
    "stats": (_has_numbers, _same_kind, Stats),
    "net": (lambda _: True, _same_place, Last),
}
