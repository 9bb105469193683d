"""The work that there is, folded from events: tries that an executor owes, and how long they take."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from parsl_diaspora.events import (
    Event,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStopped,
)
from parsl_diaspora.scaling.quantiles import Quantiles

_UNKNOWN = ""


class Demand:
    """What tasks ask for.

    Attributes:
        durations: of successful tries, seconds, by app.

    Example:
        >>> demand = Demand()
        >>> demand.fold(TaskSubmitted(task=1, try_id=0, executor="cpu", func="fit"))
        >>> demand.fold(TaskSubmitted(task=2, try_id=0, executor="cpu", func="fit"))
        >>> demand.fold(TryEnded(task=1, try_id=0, seconds=30.0))
        >>> demand.slots("cpu"), demand.seconds("cpu")
        (1, 30.0)
    """

    def __init__(self) -> None:
        self.durations: dict[str, Quantiles] = {}
        self._tries: dict[tuple[int, int], tuple[str, str]] = {}  # (task, try) to executor and app
        self._owed: dict[str, dict[str, int]] = {}  # by executor and app
        self._restarted: dict[str, int] = {}
        self._funcs: dict[int, str] = {}

    def fold(self, event: Event) -> None:
        """Take note of an event about a try; those of other kinds change nothing."""
        if (handler := _FOLDS.get(type(event))) is not None:
            handler(self, event)

    def slots(self, executor: str, catch_up: float = 1.0) -> int:
        """Tasks that could run at once, those that were restarted counted ``catch_up`` times."""
        extra = (catch_up - 1.0) * self._restarted.get(executor, 0)
        return sum(self._owed.get(executor, {}).values()) + math.ceil(extra)

    def restarted(self, executor: str) -> int:
        """Tries that are not the first ones of their tasks, and have not ended."""
        return self._restarted.get(executor, 0)

    def seconds(self, executor: str) -> float | None:
        """Seconds that one slot would need for all of it; None if it is not known of any of its apps."""
        known = [
            count * self.durations[func].mean
            for func, count in self._owed.get(executor, {}).items()
            if count and func in self.durations
        ]
        return sum(known) if known else None

    def shortest(self, executor: str) -> float | None:
        """Seconds that a task of its quickest app takes; None if that is not known of all its apps."""
        funcs = [func for func, count in self._owed.get(executor, {}).items() if count]
        if not funcs or any(func not in self.durations for func in funcs):
            return None
        return min(self.durations[func].at(0.9) for func in funcs)

    def longest(self, executor: str) -> float | None:
        """Seconds that most tasks of its slowest app take, as far as is known."""
        known = [
            self.durations[func].at(0.9) for func in self._owed.get(executor, {}) if func in self.durations
        ]
        return max(known, default=None)

    # --- folds ---

    def _submitted(self, event: TaskSubmitted) -> None:
        self._funcs[event.task or 0] = event.func
        self._launched(event)

    def _launched(self, event: Event) -> None:
        task, number = event.task or 0, event.try_id or 0
        func, executor = self._funcs.get(task, _UNKNOWN), event.executor or ""
        if (task, number) in self._tries:
            return
        self._tries[task, number] = executor, func
        owed = self._owed.setdefault(executor, {})
        owed[func] = owed.get(func, 0) + 1
        if number:
            self._restarted[executor] = self._restarted.get(executor, 0) + 1

    def _ended(self, event: TryEnded) -> None:
        owner = self._settle(event.task or 0, event.try_id or 0)
        if owner is not None and event.seconds is not None:
            self.durations.setdefault(owner[1], Quantiles()).add(event.seconds)

    def _failed(self, event: TryFailed | TryStopped) -> None:
        self._settle(event.task or 0, event.try_id or 0)

    def _task_ended(self, event: TaskEnded) -> None:
        for number in range(event.tries):
            self._settle(event.task or 0, number)
        self._funcs.pop(event.task or 0, None)

    def _settle(self, task: int, number: int) -> tuple[str, str] | None:
        owner = self._tries.pop((task, number), None)
        if owner is not None:
            executor, func = owner
            self._owed[executor][func] -= 1
            if number:
                self._restarted[executor] -= 1
        return owner


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    TaskSubmitted: Demand._submitted,
    TryLaunched: Demand._launched,
    TryEnded: Demand._ended,
    TryFailed: Demand._failed,
    TryStopped: Demand._failed,
    TaskEnded: Demand._task_ended,
}

#: Kinds that are folded.
TRY_EVENTS = frozenset(_FOLDS)
