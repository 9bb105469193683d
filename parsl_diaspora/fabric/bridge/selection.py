"""What goes on, what does not, and what is held until its window ends."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import get_args

import msgspec

from parsl_diaspora.events import Event, EventsCompacted
from parsl_diaspora.events.envelope import Topic
from parsl_diaspora.fabric.bridge.marks import Dropped, dropped, joined
from parsl_diaspora.fabric.bridge.reduction import Held, Reduction, known_topics

#: Whether an event goes on.
Filter = Callable[[Event], bool]

MARK_SECONDS = 10.0  # for how long it may be unsaid that events were left behind
MOST_TAKEN = 100_000  # events after which all that is held or unsaid is said earlier
MOST_SOURCES = 100_000  # that are remembered


class _Source(msgspec.Struct):
    """One boot of a source."""

    last: int = 0
    bucket: int = 0
    held: dict[Hashable, Held] = {}
    dropped: list[Dropped] = []


class Selection:
    """Picks events by topic and filter, and reduces samples. Not thread-safe.

    Order holds per source: before an event goes on, what is held of the same source goes. Numbers that do not
    go on are marked by an `EventsCompacted` in the place of the last of them, before the source's next event
    or when the selection is closed.

    Args:
        topics: whose events go on; None for all.
        wants: whether an event of these topics goes on; None for all. A raise counts as yes.
        reduction: what becomes of samples; None leaves them as they are.

    Attributes:
        filtered: events that did not go on because of topic or filter.
        reduced: events that became part of another one.
        marks: events that say which numbers are missing by design.
        failures: events for which the filter raised.
        taken: events since all was said last.

    Example:
        >>> from parsl_diaspora.events import RunEnded, TaskEnded, TryFailed
        >>> selection = Selection(topics=["failures"])
        >>> events = [TaskEnded(boot="a", seq=1), RunEnded(boot="a", seq=2), TryFailed(boot="a", seq=3)]
        >>> [(event.kind, event.seq) for event in selection.take(events)]
        [('events.compacted', 2), ('task.try_failed', 3)]
    """

    def __init__(
        self,
        topics: Collection[str] | None = None,
        wants: Filter | None = None,
        reduction: Reduction | None = None,
    ) -> None:
        self._topics = known_topics(get_args(Topic) if topics is None else topics)
        self._wants = wants
        self._reduction = reduction
        self.takes_all = topics is None and wants is None and reduction is None
        self.window = reduction.window if reduction is not None else MARK_SECONDS
        self.filtered = self.reduced = self.marks = self.failures = 0
        self.forget()

    def forget(self) -> None:
        """Begin anew, as what is held will be read again."""
        self._sources: dict[str, _Source] = {}
        self._busy: set[str] = set()
        self.taken = 0

    @property
    def is_open(self) -> bool:
        """Whether something is held, or left behind and not marked yet: a kill must not skip it."""
        return bool(self._busy)

    def take(self, events: list[Event]) -> list[Event]:
        """What goes on now."""
        if self.takes_all:
            return events
        out: list[Event] = []
        self.taken += len(events)
        for event in events:
            self._take(event, out)
        return out

    def close(self) -> list[Event]:
        """All that is held, and marks for all that was left behind: afterwards nothing is open."""
        out: list[Event] = []
        for boot in sorted(self._busy):
            self._release(boot, self._sources[boot], out)
        self.taken = 0
        self._sources = self._newest_sources()
        return out

    def is_full(self) -> bool:
        """Whether it should be closed before its window ends."""
        return self.taken >= MOST_TAKEN

    def _take(self, event: Event, out: list[Event]) -> None:
        wanted = event.topic in self._topics and self._is_wanted(event)
        if not event.boot:
            self.filtered += not wanted
            out.extend([event] if wanted else [])
            return
        source = self._sources.get(event.boot)
        if source is None:
            source = self._sources[event.boot] = _Source()
        if event.seq <= source.last:  # late or again: it needs no mark, and no number counts twice
            self.filtered += not wanted
            out.extend([event] if wanted else [])
            return
        source.last = event.seq
        if not wanted:
            self._drop(source, event)
        elif self._reduction is not None and self._reduction.takes(event):
            self._hold(source, event, self._reduction, out)
        else:
            self._pass(source, event, out)

    def _is_wanted(self, event: Event) -> bool:
        if self._wants is None or type(event) is EventsCompacted:
            return True
        try:
            return self._wants(event)
        except Exception:  # noqa: BLE001 - a filter that cannot judge an event must not lose it; it is counted
            self.failures += 1
            return True

    def _drop(self, source: _Source, event: Event) -> None:
        self.filtered += 1
        self._leave(source, event.boot, dropped(event))

    def _leave(self, source: _Source, boot: str, left: Dropped) -> None:
        self._busy.add(boot)
        if not (source.dropped and source.dropped[-1].joins(left)):
            source.dropped.append(left)

    def _hold(self, source: _Source, event: Event, reduction: Reduction, out: list[Event]) -> None:
        bucket = reduction.bucket(event)
        if source.held and source.bucket != bucket:
            self._release(event.boot, source, out)
        source.bucket = bucket
        self._busy.add(event.boot)
        group = reduction.group(event)
        held = source.held.get(group)
        if held is None:
            source.held[group] = reduction.hold(event)
            return
        self.reduced += 1
        self._leave(source, event.boot, dropped(held.event))
        held.add(event)

    def _pass(self, source: _Source, event: Event, out: list[Event]) -> None:
        if source.held or source.dropped:
            self._release(event.boot, source, out)
        out.append(event)

    def _release(self, boot: str, source: _Source, out: list[Event]) -> None:
        """What is held of a source and marks for what was left behind, in the order of their numbers."""
        said = [held.said() for held in source.held.values()]
        marks = [each.mark(boot) for each in joined(source.dropped)]
        self.marks += len(marks)
        out.extend(sorted([*said, *marks], key=_number))
        source.held, source.dropped = {}, []
        self._busy.discard(boot)

    def _newest_sources(self) -> dict[str, _Source]:
        if len(self._sources) <= MOST_SOURCES:
            return self._sources
        return dict(list(self._sources.items())[-MOST_SOURCES // 2 :])


def _number(event: Event) -> int:
    return event.seq
