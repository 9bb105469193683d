"""``parsl-diaspora explain RUN --failed``: what made tasks fail, root causes first, like with like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console

from parsl_diaspora.cli.words import first_line
from parsl_diaspora.events import DecisionMade, Event, TaskEnded, TaskSubmitted, TryFailed

_SHOWN = 6
BAD = ("failed", "dependency_failed")


class Cause(msgspec.Struct, kw_only=True):
    """One root cause, and the tasks that it cost.

    Attributes:
        func: name of the app.
        failure_class: as diagnosed last; empty if nobody did.
        error: class and first line of what the tasks raised.
        tasks: that failed with it, in order.
        dependents: tasks that never ran because of these.
        tries: of those tasks that failed.
        places: executors and nodes of these tries, with their numbers.
        rule: that ended the tasks.
        reason: its words.
        evidence: what spoke for the class.
    """

    func: str = ""
    failure_class: str = ""
    error: str = ""
    tasks: list[int] = []
    dependents: list[int] = []
    tries: int = 0
    places: dict[str, int] = {}
    rule: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()


def causes_of(events: Iterable[Event], run: str) -> list[Cause]:
    """The root causes of a run's failed tasks, those that cost most tasks first."""
    found = _Found()
    for event in events:
        if event.run == run:
            found.hear(event)
    return found.causes()


class _Found:
    def __init__(self) -> None:
        self._funcs: dict[int, str] = {}
        self._ended: dict[int, TaskEnded] = {}
        self._decided: dict[int, DecisionMade] = {}
        self._places: dict[int, Counter[str]] = {}

    def hear(self, event: Event) -> None:
        if event.task is None:
            return
        if isinstance(event, TaskSubmitted):
            self._funcs[event.task] = event.func
        elif isinstance(event, TaskEnded) and event.outcome in BAD:
            self._ended[event.task] = event
        elif isinstance(event, DecisionMade) and event.tries:
            self._decided[event.task] = event
        elif isinstance(event, TryFailed):
            place = "/".join(part for part in (event.executor, event.node) if part)
            self._places.setdefault(event.task, Counter())[place or "unknown"] += 1

    def causes(self) -> list[Cause]:
        grouped: dict[tuple[str, str, str, str], Cause] = {}
        of_task: dict[int, Cause] = {}
        for task, ended in self._ended.items():
            if ended.outcome == "failed":
                of_task[task] = self._add(grouped, task, ended)
        for task, ended in self._ended.items():
            if ended.outcome == "dependency_failed" and ended.root in of_task:
                of_task[ended.root].dependents.append(task)
            elif ended.outcome == "dependency_failed":
                self._add(grouped, task, ended)
        return sorted(
            grouped.values(), key=lambda each: (-len(each.tasks) - len(each.dependents), each.tasks)
        )

    def _add(self, grouped: dict[tuple[str, str, str, str], Cause], task: int, ended: TaskEnded) -> Cause:
        decision = self._decided.get(task)
        func, error = self._funcs.get(task, ended.func), first_line(ended.error)
        failure_class = decision.diagnosis.failure_class if decision is not None else ""
        key = (func, failure_class, error.partition(":")[0], decision.rule if decision is not None else "")
        if (cause := grouped.get(key)) is None:
            cause = grouped[key] = Cause(func=func, failure_class=failure_class, error=error)
            cause.tasks, cause.dependents, cause.places = [], [], {}
        if decision is not None:
            cause.rule, cause.reason = decision.rule, decision.reason
            cause.evidence = decision.diagnosis.evidence
        cause.tasks.append(task)
        for place, count in self._places.get(task, Counter()).items():
            cause.places[place] = cause.places.get(place, 0) + count
            cause.tries += count
        return cause


def render(causes: list[Cause], run: str, console: Console) -> None:
    """Print them."""
    if not causes:
        console.print("No task of this run has failed.")
        return
    lost = sum(len(each.tasks) + len(each.dependents) for each in causes)
    console.print(
        f"{_count(lost, 'task')} failed, from {_count(len(causes), 'root cause')}:\n", highlight=False
    )
    for number, each in enumerate(causes, 1):
        for line in _lines(number, each, run):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        console.print()


def _lines(number: int, cause: Cause, run: str) -> list[str]:
    told = f" ({cause.failure_class})" if cause.failure_class else ""
    lines = [f"{number}. {cause.func or 'a task'}: {cause.error}{told}"]
    lines.append(f"   tasks       {_list(cause.tasks)}")
    if cause.dependents:
        lines.append(f"   and so      {_list(cause.dependents)} never ran")
    if cause.places:
        told = ", ".join(f"{place} {count}" for place, count in sorted(cause.places.items()))
        lines.append(f"   tries       {cause.tries} failed: {told}")
    lines += [f"   evidence    {each}" for each in cause.evidence]
    if cause.rule:
        lines.append(f"   given up    {cause.reason} (rule {cause.rule})")
    if cause.tasks:
        lines.append(f"   more        parsl-diaspora explain {run[:8]} {cause.tasks[0]}")
    return lines


def _list(tasks: list[int]) -> str:
    shown = ", ".join(map(str, tasks[:_SHOWN]))
    rest = len(tasks) - _SHOWN
    return f"{len(tasks)}: {shown}{f' and {rest} more' if rest > 0 else ''}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def plain(causes: list[Cause]) -> list[dict[str, Any]]:
    """As JSON takes it."""
    return [msgspec.structs.asdict(each) for each in causes]
