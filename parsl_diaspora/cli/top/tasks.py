"""Tasks by app and state, and how fast they end: a byte for a task that has ended, more for open ones only.

The sources of a log may come in any order, so a start may be met after its end. What has ended stays ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.cli.top.frame import AppRow
from parsl_diaspora.events import (
    Event,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)

HISTORY = 60  # seconds
RECENT = 10  # seconds over which the present rate is taken
MOST_TASKS = 1 << 26  # as many bytes are kept at most; a higher number is none of Parsl's
_FIELDS = {"memoized": "done", "substituted": "done"}


class OpenTask(msgspec.Struct):
    """A task that has not ended.

    Attributes:
        app: its name.
        try_id: number of its newest try.
        running: that try runs.
    """

    app: str = ""
    try_id: int = 0
    running: bool = False


class Tasks:
    """Folds what is said of tasks.

    Attributes:
        open: tasks that have not ended.
    """

    def __init__(self) -> None:
        self.open: dict[int, OpenTask] = {}
        self._is_over = bytearray()
        self._over: dict[str, Counter[str]] = {}
        self._failed_tries: Counter[str] = Counter()
        self._per_second: Counter[int] = Counter()
        self._newest = 0
        self._count = 0

    def fold(self, event: Event) -> None:
        """Take one event into account."""
        number = -1 if event.task is None else event.task
        if 0 <= number < MOST_TASKS and (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    # --- questions ---

    def app_of(self, task: int | None) -> str:
        """Name of an open task's app."""
        known = self.open.get(task) if task is not None else None
        return known.app if known is not None else ""

    def outstanding(self) -> int:
        """Tasks that have begun and not ended."""
        return len(self.open)

    def rows(self) -> list[AppRow]:
        """Tasks by app, those with most to do first."""
        rows: dict[str, AppRow] = {}
        for app, counts in self._over.items():
            rows[app] = AppRow(app=app, **counts)
        for task in self.open.values():
            row = rows.setdefault(task.app, AppRow(app=task.app))
            if task.running:
                row.running += 1
            else:
                row.waiting += 1
        for app, number in self._failed_tries.items():
            rows.setdefault(app, AppRow(app=app)).failed_tries = number
        return sorted(rows.values(), key=lambda row: (-row.running, -row.waiting, row.app))

    def rate(self, now: float) -> float:
        """Tasks that ended in a second, over the last few."""
        newest = int(now)
        return sum(self._per_second[newest - n] for n in range(1, RECENT + 1)) / RECENT

    def mean_rate(self, seconds: float) -> float:
        """The same over all the run."""
        return self._count / seconds if seconds > 0 else 0.0

    def history(self, now: float) -> list[int]:
        """Tasks that ended in each of the last seconds, the newest last."""
        newest = int(now)
        return [self._per_second[second] for second in range(newest - HISTORY, newest)]

    # --- folds ---

    def _task(self, event: Event) -> OpenTask | None:
        number = event.task or 0
        if 0 <= number < len(self._is_over) and self._is_over[number]:
            return None
        if (task := self.open.get(number)) is None:
            task = self.open[number] = OpenTask()
        return task

    def _submitted(self, event: TaskSubmitted) -> None:
        if (task := self._task(event)) is not None:
            task.app = event.func

    def _launched(self, event: TryLaunched) -> None:
        task, number = self._task(event), event.try_id or 0
        if task is not None and number > task.try_id:
            task.try_id, task.running = number, False

    def _started(self, event: TryStarted) -> None:
        task, number = self._task(event), event.try_id or 0
        if task is not None and number >= task.try_id:
            task.try_id, task.running = number, True

    def _failed(self, event: TryFailed) -> None:
        task, number = self._task(event), event.try_id or 0
        self._failed_tries[task.app if task is not None else ""] += 1
        if task is not None and number >= task.try_id:
            task.try_id, task.running = number + 1, False  # a start that is told late is of an earlier try

    def _try_ended(self, event: TryEnded) -> None:
        if (task := self._task(event)) is not None:
            task.try_id, task.running = (event.try_id or 0) + 1, False

    def _ended(self, event: TaskEnded) -> None:
        number = event.task or 0
        task = self._task(event)
        if task is None:
            return
        del self.open[number]
        self._mark(number)
        counts = self._over.setdefault(event.func or task.app, Counter())
        counts[_FIELDS.get(event.outcome, event.outcome)] += 1
        self._count += 1
        self._count_second(int(event.time))

    def _mark(self, number: int) -> None:
        if number >= len(self._is_over):
            self._is_over.extend(bytes(number + 1 - len(self._is_over)))
        self._is_over[number] = 1

    def _count_second(self, second: int) -> None:
        self._per_second[second] += 1
        self._newest = max(self._newest, second)
        if len(self._per_second) > 4 * HISTORY:
            for old in [each for each in self._per_second if each < self._newest - 2 * HISTORY]:
                del self._per_second[old]


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    TaskSubmitted: Tasks._submitted,
    TryLaunched: Tasks._launched,
    TryStarted: Tasks._started,
    TryFailed: Tasks._failed,
    TryEnded: Tasks._try_ended,
    TaskEnded: Tasks._ended,
}
