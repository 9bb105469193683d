"""Which events of finished runs only repeat what others tell as well.

Dropped are the starts and ends of tries of tasks that succeeded at their first try, and all but the last
state of a block. Kept is everything else: each task's submission and end, all that belongs to a failure, all
that befell places, what first tells of a place, a run's earliest and latest event, and kinds that are not
known.
"""

from __future__ import annotations

import msgspec

from parsl_diaspora.events import (
    BlockSeen,
    Event,
    EventsCompacted,
    RunEnded,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryStarted,
)

LARGEST_TASK = 1 << 24  # events of tasks with higher numbers are kept
MANAGERS = 500  # that one event can count starts for; starts at more of them are kept
_SUBMITTED, _STARTED, _ENDED, _DONE, _OTHER = 1, 2, 4, 8, 16
_Place = tuple[str, str | None, str | None, str | None, str | None]


class _Run(msgspec.Struct):
    """What is known of one run: a byte for each task, two events."""

    ended: bool = False
    tasks: bytearray = msgspec.field(default_factory=bytearray)
    earliest: tuple[float, str] = (float("inf"), "")
    latest: tuple[float, str] = (float("-inf"), "")


class NetEffect:
    """Listens to all events of a log, then says which of them may go.

    Memory: one byte for each task of a run, and an id for each place and each block of it.
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._places: dict[_Place, str] = {}
        self._blocks: dict[tuple[str, str | None, str | None], str] = {}

    def note(self, event: Event) -> None:
        """Take note of one event; every event of the log must come by once before `drops` is asked."""
        if not event.run:
            return
        run = self._runs.setdefault(event.run, _Run())
        run.ended = run.ended or isinstance(event, RunEnded)
        if event.time < run.earliest[0]:
            run.earliest = event.time, event.id
        if event.time > run.latest[0]:
            run.latest = event.time, event.id
        if event.manager is not None or event.node is not None:
            self._places.setdefault(_place(event), event.id)
        if isinstance(event, BlockSeen):
            self._blocks[event.run, event.executor, event.block] = event.id
        if event.task is not None and 0 <= event.task < LARGEST_TASK:
            _note_task(run, event.task, event)

    def has_ended(self, run: str) -> bool:
        """Whether the log has the run's end."""
        return run in self._runs and self._runs[run].ended

    def drops(self, event: Event) -> bool:
        """Whether the event may go, if its run is finished."""
        if isinstance(event, BlockSeen):
            goes = self._blocks[event.run, event.executor, event.block] != event.id
        else:
            goes = isinstance(event, TryStarted | TryEnded) and self._is_simple(event)
        return goes and not self._is_marked(event)

    def _is_simple(self, event: Event) -> bool:
        tasks = self._runs[event.run].tasks if event.run in self._runs else b""
        if event.task is None or not 0 <= event.task < len(tasks):
            return False
        return tasks[event.task] & ~(_STARTED | _ENDED) == _SUBMITTED | _DONE

    def _is_marked(self, event: Event) -> bool:
        run = self._runs[event.run]
        return event.id in (run.earliest[1], run.latest[1], self._places.get(_place(event)))


def _place(event: Event) -> _Place:
    return event.run, event.executor, event.block, event.manager, event.node


def _note_task(run: _Run, task: int, event: Event) -> None:
    if task >= len(run.tasks):
        run.tasks.extend(bytes(max(task + 1, 2 * len(run.tasks)) - len(run.tasks)))
    run.tasks[task] |= _mark(event)


def _mark(event: Event) -> int:
    if event.try_id:
        return _OTHER
    if isinstance(event, TaskEnded):
        return _DONE if event.outcome == "done" and event.tries == 1 else _OTHER
    return _MARKS.get(type(event), _OTHER)


_MARKS: dict[type[Event], int] = {TaskSubmitted: _SUBMITTED, TryStarted: _STARTED, TryEnded: _ENDED}


class Selection:
    """What goes from one segment: asked twice with the same events, it gives the same answers.

    Args:
        effect: has heard the whole log.
        marks: what the first time found out; None the first time.
    """

    def __init__(
        self, effect: NetEffect, marks: dict[tuple[str, str], EventsCompacted] | None = None
    ) -> None:
        self._effect = effect
        self._known = marks
        self.marks: dict[tuple[str, str], EventsCompacted] = {}

    def drops(self, event: Event) -> bool:
        """Whether the event goes; counts it."""
        mark = self.marks.setdefault((event.boot, event.run), EventsCompacted())
        if not event.run or not self._may_go(event, mark):
            mark.kept += 1
            return False
        _count(mark, event)
        return True

    def instead(self, event: Event) -> EventsCompacted | None:
        """What stands in the place of an event that goes: for the last of its boot and run, its mark."""
        mark = (self._known or {}).get((event.boot, event.run))
        return mark if mark is not None and mark.last == event.seq else None

    def _may_go(self, event: Event, mark: EventsCompacted) -> bool:
        if self._known is not None and (event.boot, event.run) not in self._known:
            return False
        many = len(mark.started) >= MANAGERS and event.manager not in mark.started
        return not (many and isinstance(event, TryStarted)) and self._effect.drops(event)


def _count(mark: EventsCompacted, event: Event) -> None:
    mark.source, mark.boot, mark.run = event.source, event.boot, event.run
    if not mark.dropped:
        mark.first = event.seq
    mark.seq = mark.last = event.seq
    mark.time, mark.mono = event.time, event.mono
    mark.dropped += 1
    if isinstance(event, TryStarted) and event.manager is not None:
        mark.started[event.manager] = mark.started.get(event.manager, 0) + 1
