"""Where a task may go, and where a new one goes."""

from __future__ import annotations

from typing import Any

from parsl_diaspora.events import DecisionMade, Diagnosis
from parsl_diaspora.monitoring.apps import INTERNAL, Apps, has_staged_files
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live

#: A Parsl task record.
Record = dict[str, Any]


class Routing:
    """Knows the executors that each app may use, and chooses among them.

    Args:
        settings: the program's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._apps = Apps()

    def allowed(self, task: Record) -> list[str]:
        """Labels that the task may run at, its present one among them."""
        here = task["executor"]
        if self._settings.move == "none" or here == INTERNAL or has_staged_files(task):
            return [here]
        known = task["dfk"].executors
        if self._settings.move == "any":
            return [label for label in known if label != INTERNAL]
        declared = self._apps.declared(task["func"], known)
        return sorted(declared if declared is not None else {here, *self._apps.of(task["func"]).placed})

    def others(self, task: Record, live: Live) -> list[str]:
        """Other executors that the task may move to, the best first: those with managers, least loaded."""
        here, func, picture = task["executor"], task["func_name"], live.picture
        candidates = [
            label
            for label in self.allowed(task)
            if label != here and is_usable(task, label) and (func, label) not in picture.unfit
        ]
        return sorted(
            candidates, key=lambda label: (not picture.has_managers(label), picture.load(label), label)
        )

    def first(self, live: Live, task: Record) -> None:
        """Keep a first try from a place that is known to be no use to it."""
        here, func = task["executor"], task["func_name"]
        self._apps.of(task["func"]).placed.add(here)
        missing = live.picture.unfit.get((func, here), "")
        if not missing and is_usable(task, here):
            return
        others = self.others(task, live)
        if not others:
            return
        rule, why = ("known-lack", f"lacks {missing!r}") if missing else ("executor-gone", "takes no tasks")
        reason = f"{here} {why}, as earlier tasks have shown; {others[0]} is used at once"
        task["executor"] = others[0]
        live.say(
            DecisionMade(
                task=task["id"],
                try_id=0,
                executor=here,
                diagnosis=Diagnosis(
                    failure_class="missing_module" if missing else "executor_lost", missing=missing
                ),
                rule=rule,
                reason=reason,
                action="move",
                target=others[0],
            )
        )


def is_usable(task: Record, label: str) -> bool:
    """Whether an executor still takes tasks."""
    executor = task["dfk"].executors.get(label)
    gone = (getattr(executor, name, False) for name in ("bad_state_is_set", "is_without_blocks"))
    return executor is not None and not any(gone)
