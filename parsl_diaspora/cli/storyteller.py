"""From events to the story of one task, in one pass over a log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.cli.action_words import action_words
from parsl_diaspora.cli.nearby import NearbyEvents
from parsl_diaspora.cli.state_story import STATE_EVENTS, belongs_to, hear_of_state
from parsl_diaspora.cli.story import Cancel, Choice, Decline, HoldStory, Passage, TaskStory, TryStory
from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import (
    DecisionMade,
    Event,
    EventsCompacted,
    RunEnded,
    RunStarted,
    TaskCancelAsked,
    TaskEnded,
    TaskHedged,
    TaskHeld,
    TaskMoved,
    TaskReleased,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
)
from parsl_diaspora.events.envelope import place_of
from parsl_diaspora.state.run_state import run_state

_CAUSE = re.compile(r"cause is via (.*)", re.DOTALL)
_TASK = re.compile(r"task (\d+)")


class Storyteller:
    """Listens to the events of a run and tells the story of one of its tasks.

    Args:
        run: Parsl's run id.
        task: Parsl's task id.
    """

    def __init__(self, run: str, task: int) -> None:
        self._run, self._task = run, task
        self._own: list[Event] = []
        self._nearby = NearbyEvents()
        self._started: RunStarted | None = None
        self._ended = False
        self._compacted = False
        self._last_time = 0.0
        self._highest = -1
        self._others = 0

    def listen(self, event: Event) -> None:
        """Take note of an event. Few are kept: those of the task, and those of places."""
        if event.run != self._run:
            return
        self._last_time = max(self._last_time, event.time)
        if event.task is None:
            self._listen_to_run(event)
        elif event.task == self._task:
            self._own.append(event)
        else:
            self._others += 1
            self._highest = max(self._highest, event.task)

    def _listen_to_run(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, RunEnded):
            self._ended = True
        elif isinstance(event, EventsCompacted):
            self._compacted = True
        else:
            self._nearby.listen(event)

    def tell(self, now: float | None = None) -> TaskStory:
        """The story.

        Args:
            now: seconds UTC, by which a run without an end is judged; by default the system's time.

        Raises:
            NotFound: the log has no event of that task.
        """
        if not self._own:
            raise self._not_found()
        moment = time.time() if now is None else now
        state = run_state(self._started, self._ended, self._last_time, moment)
        program = self._started.program if self._started is not None else ""
        story = TaskStory(run=self._run, program=program, run_state=state, task=self._task)
        story.submitted = _beginning(self._own)
        tries: dict[int, TryStory] = {}
        for event in sorted(self._own, key=lambda each: each.time):
            _hear(event, story, tries)
        story.tries = [tries[number] for number in sorted(tries)]
        if self._compacted:
            _fill_in(story)
        story.worker_seconds = sum(each.seconds or 0.0 for each in story.tries)
        self._look_around(story)
        return story

    def _look_around(self, story: TaskStory) -> None:
        for each in story.tries:
            if each.failure is not None:
                each.nearby = self._nearby.of(each, story.submitted)

    def _not_found(self) -> NotFound:
        tasks = f"It tells of tasks up to {self._highest}." if self._others else "It tells of no task."
        hint = f"{tasks} A task that still waits for others leaves no event."
        message = f"The log of run {self._run} has no task {self._task}."
        return NotFound(message, what=str(self._task), where=self._run, hint=hint)


def _fill_in(story: TaskStory) -> None:
    """Of a task that succeeded at its first try, a compaction leaves the submission and the end."""
    if story.outcome == "done" and len(story.tries) == 1 and story.tries[0].ended is None:
        only = story.tries[0]
        only.status, only.ended, only.compacted = "succeeded", story.ended, True


def _beginning(events: list[Event]) -> float:
    submitted = (event.time for event in events if isinstance(event, TaskSubmitted))
    return next(submitted, min(event.time for event in events))


def _hear(event: Event, story: TaskStory, tries: dict[int, TryStory]) -> None:
    at = event.time - story.submitted
    if isinstance(event, TaskEnded):
        _hear_end(event, story, at)
    elif isinstance(event, TaskCancelAsked):
        story.cancel = story.cancel or Cancel(at=at, owner=event.owner, reason=event.reason)
    elif isinstance(event, TaskHeld | TaskReleased):
        _hear_hold(event, story, at)
    elif isinstance(event, DecisionMade) and event.action == "cancel":
        story.cancel = story.cancel or Cancel(at=at, owner="", reason="")
        story.cancel.done = event.reason
    elif isinstance(event, DecisionMade) and not event.tries:
        story.routing = _choice(event, at)
    elif type(event) in STATE_EVENTS:
        number = belongs_to(event)
        hear_of_state(event, tries.setdefault(number, TryStory(number=number)).state, at)
    elif (tell := _OF_TRIES.get(type(event))) is not None:
        number = event.try_id or 0
        each = tries.setdefault(number, TryStory(number=number))
        if _is_of_copy(event, each):
            return
        each.place = {**each.place, **place_of(event)} if not isinstance(event, TryDeclined) else each.place
        tell(event, each, at)
        if isinstance(event, TaskSubmitted):
            story.func = event.func


def _is_of_copy(event: Event, each: TryStory) -> bool:
    """Whether this is about another copy of a try, which counts only if it ends first."""
    if not isinstance(event, TryStarted | TryStopped) or event.executor == each.place.get("executor"):
        return False
    return event.executor in each.copies


def _hear_hold(event: TaskHeld | TaskReleased, story: TaskStory, at: float) -> None:
    if isinstance(event, TaskHeld):
        hold = msgspec.convert(event, HoldStory, from_attributes=True)
        hold.at = at
        story.holds = [*story.holds, hold]
    elif story.holds:
        last = story.holds[-1]
        last.released, last.how, last.released_by = at, event.how, event.owner


def _hear_end(event: TaskEnded, story: TaskStory, at: float) -> None:
    story.outcome, story.error, story.ended = event.outcome, event.error, at
    if event.outcome == "dependency_failed":
        story.root = event.root if event.root is not None else _root(event.error)


def _root(error: str) -> int | None:
    """The last task in Parsl's chain of causes, in logs of earlier releases."""
    found = _CAUSE.search(error)
    tasks = _TASK.findall(found.group(1).partition(", which failed")[0]) if found else []
    return int(tasks[-1]) if tasks else None


# --- what each kind adds to a try ---


def _launched(event: TryLaunched | TaskSubmitted, each: TryStory, at: float) -> None:
    each.launched, each.placed = at, event.placed
    if isinstance(event, TryLaunched):
        each.avoid = event.avoid


def _started(event: TryStarted, each: TryStory, at: float) -> None:
    each.started = at
    each.place = {**each.place, "pid": event.pid}
    if each.status == "launched":
        each.status = "running"


def _declined(event: TryDeclined, each: TryStory, at: float) -> None:
    each.declined = [*each.declined, Decline(at=at, place=place_of(event), count=event.count)]


def _ended(event: TryEnded, each: TryStory, at: float) -> None:
    each.status, each.ended = "succeeded", at
    each.seconds = event.seconds


def _failed(event: TryFailed, each: TryStory, at: float) -> None:
    each.status, each.ended = "failed", at
    each.seconds, each.failure = event.seconds, event.failure


def _stopped(event: TryStopped, each: TryStory, at: float) -> None:
    each.status, each.ended, each.stopped = "stopped", at, event.how
    if event.pid:
        each.place = {**each.place, "pid": event.pid}


def _moved(event: TaskMoved, each: TryStory, at: float) -> None:
    each.place, each.copies = {"executor": event.to}, (*each.copies, event.executor or "")
    each.passages = [*each.passages, Passage(at=at, to=event.to, moved=True, reason=event.reason)]


def _hedged(event: TaskHedged, each: TryStory, at: float) -> None:
    each.copies = (*each.copies, event.executor or "", event.to)
    each.passages = [*each.passages, Passage(at=at, to=event.to, moved=False, reason=event.reason)]


def _decided(event: DecisionMade, each: TryStory, at: float) -> None:
    each.decision, each.diagnosis = _choice(event, at), event.diagnosis


_OF_TRIES: dict[type[Event], Callable[[Any, TryStory, float], None]] = {
    TaskSubmitted: _launched,
    TryLaunched: _launched,
    TryStarted: _started,
    TryDeclined: _declined,
    TryEnded: _ended,
    TryFailed: _failed,
    TryStopped: _stopped,
    TaskHedged: _hedged,
    TaskMoved: _moved,
    DecisionMade: _decided,
}


def _choice(event: DecisionMade, at: float) -> Choice:
    choice = msgspec.convert(event, Choice, from_attributes=True)
    choice.at, choice.words = at, action_words(event)
    return choice
