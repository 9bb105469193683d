"""The whole view of a run, folded from its events: no terminal, no time of its own, bounded memory."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from parsl_diaspora.cli.event_words import detail, place_path
from parsl_diaspora.cli.top.frame import Frame, Happening, HoldRow
from parsl_diaspora.cli.top.places import Places
from parsl_diaspora.cli.top.tasks import Tasks
from parsl_diaspora.cli.words import clip
from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    Event,
    EventsLost,
    FabricLagged,
    FaultInjected,
    InterchangeEnded,
    InterchangeStarted,
    ManagerEnded,
    ManagerLost,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeShortOfMemory,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    RunEnded,
    RunStarted,
    ServiceDegraded,
    TaskCancelAsked,
    TaskEnded,
    TaskHeld,
    TaskReleased,
    TryFailed,
    TryStopped,
    WorkerEnded,
)
from parsl_diaspora.state import Dedupe
from parsl_diaspora.state.held import HeldTasks
from parsl_diaspora.state.run_state import run_state

RECENT = 200
_CLIP = 300

_INCIDENTS = (
    BlockLost,
    EventsLost,
    FabricLagged,
    FaultInjected,
    InterchangeEnded,
    InterchangeStarted,
    ManagerEnded,
    ManagerLost,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeShortOfMemory,
    NodeSuspected,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    ServiceDegraded,
    TaskCancelAsked,
    TryStopped,
    WorkerEnded,
)


class Newest:
    """The newest few happenings, in whatever order they are met."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Happening]] = []
        self._met = 0

    def add(self, event: Event) -> None:
        """Take note of one."""
        self._met += 1
        happening = Happening(
            time=event.time,
            kind=event.kind,
            task=event.task,
            place=place_path(event),
            words=clip(detail(event), _CLIP),
        )
        entry = (event.time, self._met, happening)
        (heapq.heappush if len(self._heap) < RECENT else heapq.heappushpop)(self._heap, entry)

    def list(self) -> list[Happening]:
        """The newest first."""
        return [happening for *_, happening in sorted(self._heap, reverse=True)]


class Model:
    """One run.

    Args:
        run: Parsl's run id.

    Example:
        >>> model = Model("r")
        >>> model.add(RunStarted(run="r", program="study.py", time=1.0))
        >>> model.frame(now=3.0).program
        'study.py'
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self._tasks = Tasks()
        self._places = Places()
        self._held = HeldTasks()
        self._dedupe = Dedupe()
        self._failures, self._decisions, self._incidents = Newest(), Newest(), Newest()
        self._started: RunStarted | None = None
        self._ended = False
        self._first = self._last = 0.0
        self._events = 0

    def add(self, event: Event) -> None:
        """Take one event of the fabric into the view; those of other runs change nothing."""
        if event.run != self.run or not self._dedupe.is_new(event):
            return
        self._events += 1
        self._last = max(self._last, event.time)
        self._first = min(self._first or event.time, event.time)
        self._places.fold(event)
        self._tasks.fold(event)
        if (listener := _LISTENERS.get(type(event))) is not None:
            listener(self, event)

    @property
    def ended(self) -> bool:
        """The run's last event has been met."""
        return self._ended

    def frame(self, now: float, lag: int | None = None) -> Frame:
        """The view at one moment.

        Args:
            now: seconds UTC.
            lag: events that are not read yet, if that is known.
        """
        state = run_state(self._started, self._ended, self._last, now)
        moment = now if state.startswith("running") else self._last
        seconds = max(0.0, moment - self._first)
        tasks, places = self._tasks, self._places
        return Frame(
            run=self.run,
            program=self._started.program if self._started is not None else "",
            state=state,
            time=moment,
            seconds=seconds,
            events=self._events,
            lag=lag,
            outstanding=tasks.outstanding(),
            rate=tasks.rate(moment),
            mean_rate=tasks.mean_rate(seconds),
            history=tasks.history(moment),
            apps=tasks.rows(),
            nodes=places.nodes(),
            blocks=places.blocks(),
            workers=places.workers(moment, tasks.app_of),
            holds=[*places.holds(), *self._held_tasks()],
            failures=self._failures.list(),
            decisions=self._decisions.list(),
            incidents=self._incidents.list(),
        )

    def _held_tasks(self) -> list[HoldRow]:
        rows = [
            HoldRow(
                what="held",
                place=f"task {each.task}",
                since=each.since,
                owner=each.owner,
                reason=each.reason,
            )
            for each in self._held
        ]
        return sorted(rows, key=lambda row: row.since)

    def _run_started(self, event: RunStarted) -> None:
        self._started = event

    def _run_ended(self, event: RunEnded) -> None:
        self._ended = True

    def _failed(self, event: TryFailed) -> None:
        self._failures.add(event)

    def _decided(self, event: DecisionMade) -> None:
        self._decisions.add(event)

    def _befell(self, event: Event) -> None:
        if not (isinstance(event, BlockLost) and event.expected):
            self._incidents.add(event)

    def _task_ended(self, event: TaskEnded) -> None:
        self._held.lift(event)

    def _task_held(self, event: TaskHeld) -> None:
        self._befell(event)
        self._held.put(event)

    def _task_released(self, event: TaskReleased) -> None:
        self._befell(event)
        self._held.lift(event)


_LISTENERS: dict[type[Event], Callable[[Any, Any], None]] = {
    **dict.fromkeys(_INCIDENTS, Model._befell),
    RunStarted: Model._run_started,
    RunEnded: Model._run_ended,
    TryFailed: Model._failed,
    DecisionMade: Model._decided,
    TaskHeld: Model._task_held,
    TaskReleased: Model._task_released,
    TaskEnded: Model._task_ended,
}
