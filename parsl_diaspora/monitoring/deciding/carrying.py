"""Decisions carried out: what Parsl's record of a task, and the places, have to be told.

Called in the retry handler, so nothing here waits or does I/O.
"""

from __future__ import annotations

import math
from typing import Any

from parsl.executors import HighThroughputExecutor

from parsl_diaspora.events import DecisionMade
from parsl_diaspora.executors.mixin import Hardening
from parsl_diaspora.monitoring.deciding.situations import MEGABYTE
from parsl_diaspora.monitoring.kernel import Record, executor_of
from parsl_diaspora.monitoring.parking.parked import Otherwise
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.recovery import Chosen
from parsl_diaspora.recovery.replay import sites_of
from parsl_diaspora.state import Live
from parsl_diaspora.state.picture import OWN_PACKAGE
from parsl_diaspora.state.quarantined import EXECUTOR, MANAGER, NODE

_OTHERWISE: dict[str, Otherwise] = {"retry": "retry", "hold": "hold", "fail": "fail"}


class Carrying:
    """Carries decisions out.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def out(self, live: Live, task: Record, chosen: Chosen) -> None:
        """Carry out a decision that does not end the task with its failure."""
        decision, parked = chosen.decision, self._session.parked
        if decision.action == "hold":
            parked.hold(task, decision)
            return
        if decision.action == "substitute":
            parked.substitute(task, chosen.value)
            return
        if decision.diagnosis.missing == OWN_PACKAGE:
            self._use_plain_workers(live, task)
        if decision.target is not None:
            task["executor"] = decision.target
        self._resize(live, task, decision)
        self._session.tries.avoid(task["id"], decision.avoid)
        if decision.wait:
            otherwise = _OTHERWISE.get(decision.wait_else, "retry")
            parked.wait(task, decision.wait, decision.wait_timeout, otherwise)
        elif decision.delay > 0:
            parked.delay(task, decision.delay)

    def rest(self, decision: DecisionMade) -> None:
        """Give the place of a failure no new work for a while, if the decision says so."""
        if not decision.rest:
            return
        reason = f"the rule {decision.rule!r} of the policy: {decision.reason}"
        for level, name in self._places(decision):
            self._session.quarantines.place(level, name, decision.rest_for, reason)

    def _places(self, decision: DecisionMade) -> list[tuple[str, str]]:
        if decision.rest == "site":
            labels = sites_of(self._session.settings.sites, decision.executor or "")
            return [(EXECUTOR, label) for label in labels]
        if decision.rest == "node" and decision.node:
            return [(NODE, decision.node)]
        return [(MANAGER, decision.manager)] if decision.manager else []

    def _resize(self, live: Live, task: Record, decision: DecisionMade) -> None:
        """Tell executors that take such words how much memory a task needs, and how urgent it is."""
        had = task.get("resource_specification") or {}
        wanted = dict(had)
        if decision.memory is not None and "memory" in had:
            wanted["memory"] = math.ceil(decision.memory / MEGABYTE)
        executor = executor_of(task["dfk"], task["executor"])
        if decision.priority is not None and (
            "priority" in had or isinstance(executor, HighThroughputExecutor)
        ):
            wanted["priority"] = decision.priority
        if wanted != had and _takes(executor, wanted):
            task["resource_specification"] = wanted

    def _use_plain_workers(self, live: Live, task: Record) -> None:
        executor = executor_of(task["dfk"], task["executor"])
        if isinstance(executor, Hardening):
            executor.use_plain_workers()
            why = "its workers' environment lacks parsl_diaspora; they run tasks as stock Parsl's do"
            live.absorb(f"workers of {executor.label}", ImportError(why))


def _takes(executor: Any, specification: dict[str, Any]) -> bool:
    validate = getattr(executor, "validate_resource_spec", None)
    try:
        if validate is not None:
            validate(specification)
    except Exception:  # noqa: BLE001 - each executor has its own errors for words that it does not know
        return False
    return True
