"""What became of a try's states: saved, restored, lost, and carried to another place while it ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.events import (
    CheckpointLost,
    CheckpointRestored,
    CheckpointSaved,
    Event,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    MigrationRound,
    MigrationStarted,
)


class Saves(msgspec.Struct, kw_only=True):
    """The saves of one try.

    Attributes:
        count: how many there were.
        newest: when the newest was safe.
        size: bytes of the state at the newest.
        written: bytes that were written for all of them.
        stopped: seconds for which the task was stopped for all of them.
        final: the try left its place with the newest.
    """

    count: int = 0
    newest: float = 0.0
    size: int = 0
    written: int = 0
    stopped: float = 0.0
    final: bool = False


class Restored(msgspec.Struct, kw_only=True):
    """The state that a try went on from.

    Attributes:
        at: when.
        run: that saved it; empty for this one.
        try_id: number of the try that saved it.
        age: seconds since it was saved.
        size: bytes of it.
        seconds: that it took.
    """

    at: float
    run: str
    try_id: int
    age: float
    size: int
    seconds: float


class LostSave(msgspec.Struct, kw_only=True):
    """A save came to nothing, or could not be used.

    Attributes:
        at: when.
        reason: in words.
        error: what was raised.
    """

    at: float
    reason: str
    error: str


class Move(msgspec.Struct, kw_only=True):
    """The try was to go on at another executor.

    Attributes:
        at: when that was asked for.
        to: label of the executor.
        reason: in words.
        owner: who asked.
        ready: when a worker had begun the successor; None if none has.
        rounds: in which the state was copied.
        read: bytes read in all of them.
        arrived: when the successor went on; None if it did not.
        downtime: seconds in which nobody worked.
        lost: the try was lost on the way, and its successor went on from the newest state.
        failed: why it came to nothing; empty if it did not fail.
        step: that failed: ``begin``, ``copy`` or ``switch``.
    """

    at: float
    to: str
    reason: str
    owner: str
    ready: float | None = None
    rounds: int = 0
    read: int = 0
    arrived: float | None = None
    downtime: float = 0.0
    lost: bool = False
    failed: str = ""
    step: str = ""


class StateStory(msgspec.Struct, kw_only=True):
    """What became of the states of one try.

    Attributes:
        saves: that it made; None if it made none.
        restored: the state that it went on from, if any.
        lost: saves that came to nothing, or could not be used.
        moves: to other executors while it ran.
    """

    saves: Saves | None = None
    restored: Restored | None = None
    lost: list[LostSave] = []
    moves: list[Move] = []


def belongs_to(event: Event) -> int:
    """Number of the try of whose story an event is: the words of a successor are of the try that moves."""
    number = event.try_id or 0
    return number - 1 if isinstance(event, MigrationReady | MigrationRound | MigrationDone) else number


def hear_of_state(event: Event, story: StateStory, at: float) -> None:
    """Take an event into the story of its try's states; `STATE_EVENTS` are its kinds."""
    STATE_EVENTS[type(event)](event, story, at)


def _saved(event: CheckpointSaved, story: StateStory, at: float) -> None:
    saves = story.saves = story.saves or Saves()
    saves.count += 1
    saves.newest, saves.size, saves.final = at, event.size, event.final
    saves.written += event.written
    saves.stopped += event.stopped


def _restored(event: CheckpointRestored, story: StateStory, at: float) -> None:
    story.restored = Restored(
        at=at,
        run=event.saved_run if event.saved_run != event.run else "",
        try_id=event.saved_try,
        age=event.age,
        size=event.size,
        seconds=event.seconds,
    )


def _lost(event: CheckpointLost, story: StateStory, at: float) -> None:
    story.lost = [*story.lost, LostSave(at=at, reason=event.reason, error=event.error)]


def _began(event: MigrationStarted, story: StateStory, at: float) -> None:
    story.moves = [*story.moves, Move(at=at, to=event.to, reason=event.reason, owner=event.owner)]


def _ready(_: MigrationReady, story: StateStory, at: float) -> None:
    if story.moves:
        story.moves[-1].ready = at


def _round(event: MigrationRound, story: StateStory, _: float) -> None:
    if story.moves:
        story.moves[-1].rounds += 1
        story.moves[-1].read += event.read


def _done(event: MigrationDone, story: StateStory, at: float) -> None:
    if story.moves:
        move = story.moves[-1]
        move.arrived, move.downtime, move.lost = at, event.downtime, not event.final


def _failed(event: MigrationFailed, story: StateStory, _: float) -> None:
    if story.moves:
        story.moves[-1].failed, story.moves[-1].step = event.reason, event.step


#: Kinds of events about states.
STATE_EVENTS: dict[type[Event], Callable[[Any, StateStory, float], None]] = {
    CheckpointSaved: _saved,
    CheckpointRestored: _restored,
    CheckpointLost: _lost,
    MigrationStarted: _began,
    MigrationReady: _ready,
    MigrationRound: _round,
    MigrationDone: _done,
    MigrationFailed: _failed,
}
