"""What a decision may look at, put together from the state of the run and Parsl's record of the task."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from parsl_diaspora.events import DecisionMade, Failure, TryFailed
from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.monitoring.deciding.context import context_of, is_healthy
from parsl_diaspora.monitoring.kernel import Record, executor_of, is_usable
from parsl_diaspora.monitoring.parking.unexplained import Revision
from parsl_diaspora.monitoring.placing.apps import has_staged_files
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.recovery import Options, Situation
from parsl_diaspora.recovery.replay import counter_of, sites_of, uses_of
from parsl_diaspora.state import Live, TaskState

#: Managers that are looked at for another node or block: nearly always the second one is.
MOST_LOOKED_AT = 16
MEGABYTE = 1_000_000


class Situations:
    """Makes the situation of each failed try, in O(1).

    Args:
        session: of the run.
        asks_own: the program has a retry handler of its own.
    """

    def __init__(self, session: Session, *, asks_own: bool) -> None:
        self._session = session
        self._asks_own = asks_own

    def of(
        self,
        live: Live,
        task: Record,
        failed: TryFailed,
        own_cost: float | None,
        options: Options,
        *,
        revision: Revision | None = None,
    ) -> Situation:
        """The situation after a try has failed.

        Args:
            live: the run's state.
            task: Parsl's record.
            failed: the failure, as it was said.
            own_cost: what the program's own handler asks for it; None without one.
            options: what the app's author said.
            revision: why it is decided upon anew; the failure is charged once.
        """
        failure, state = failed.failure, live.picture.tasks[task["id"]]
        executor = executor_of(task["dfk"], failed.executor)
        context = context_of(live.picture, failed, executor, self._session.clock.time())
        if revision is not None:
            context = context.with_more(revision.evidence.context)
        refuted = self._is_refuted(live, task, state, failure)
        diagnosis = revision.evidence.diagnosis if revision is not None else None
        if diagnosis is None:
            diagnosis = self._session.diagnoser.diagnose(
                failure,
                state,
                context=context,
                refuted=refuted,
                is_healthy=partial(is_healthy, live.picture),
            )
        return Situation(
            failure=failure,
            diagnosis=diagnosis,
            context=context,
            options=options,
            id=failed.id,
            proof="" if refuted else self._proof(task, failure, diagnosis.failure_class),
            own_handler_stops=self._own_stops(task, own_cost, diagnosis.failure_class),
            asked_memory=_asked_memory(task, state, options),
            **self._account(state, diagnosis.failure_class, options, refuted, revision),
            **self._place(live, task, failed),
            **self._elsewhere(live, task, failed, state),
        )

    def _account(
        self,
        state: TaskState,
        failure_class: str,
        options: Options,
        refuted: bool,
        revision: Revision | None,
    ) -> dict[str, Any]:
        """What the task has had of tries and budgets."""
        budgets, replaces = self._session.budgets, revision.replaces if revision is not None else None
        budget = budgets.name(failure_class, options)
        spent = _spent(state, budget, replaces)
        limit = budgets.limit(failure_class, options, by_chance=refuted and not self._asks_own)
        if self._asks_own and budget == "application":
            limit = self._session.settings.max_tries  # the program's own handler keeps that account
        return {
            "tries": len(state.tries) - state.forgiven - state.free,
            "max_tries": budgets.max_tries(options),
            "budget": budget,
            "used": spent[budget],
            "limit": limit,
            "infrastructure_failures": budgets.infrastructure_failures(spent),
            "uses": uses_of(state, but=replaces.rule if replaces is not None else ""),
        }

    def _place(self, live: Live, task: Record, failed: TryFailed) -> dict[str, Any]:
        here, sites = task["executor"], self._session.settings.sites
        return {
            "func": task["func_name"],
            "executor": here,
            "site": sites.get(here, here),
            "block": failed.block,
            "manager": failed.manager,
            "node": failed.node,
            "worker": failed.worker,
            "seconds": failed.seconds,
            "executor_usable": is_usable(task["dfk"], here),
            "bound": ""
            if len(self._session.routing.pools.peers(here)) > 1
            else _bound(task, self._session.settings.move),
            "counter": counter_of(live.picture, failed, task["func_name"], sites_of(sites, here)),
        }

    def _elsewhere(self, live: Live, task: Record, failed: TryFailed, state: TaskState) -> dict[str, Any]:
        session, picture, here = self._session, live.picture, task["executor"]
        (others, unfit), sites = session.routing.elsewhere(task, live), session.settings.sites
        site = sites.get(here, here)
        other_node, other_block = _company(live, here, failed)
        return {
            "other_executors": tuple(others),
            "other_sites": tuple(label for label in others if sites.get(label, label) != site),
            "others_have_managers": bool(others) and picture.has_managers(others[0]),
            "other_manager": picture.has_other_manager(here, failed.manager),
            "other_node": other_node,
            "other_block": other_block,
            "other_worker": picture.workers.get(here, 0) > 1,
            "room": self._room((here, *others)),
            "unfit_everywhere": unfit and not others,
            "avoid": _failed_managers(live, state, here, failed.manager),
        }

    def _room(self, labels: tuple[str, ...]) -> dict[str, int]:
        offers = self._session.routing.offers
        return {label: memory for label in labels if (memory := offers.of(label).memory)}

    def _proof(self, task: Record, failure: Failure, failure_class: str) -> str:
        """How it was proven before, by other tasks or programs, that a failure is the app's own."""
        if not failure.frame or is_infrastructure(failure_class):
            return ""
        return self._session.routing.proof(task["func"], failure.fingerprint)

    def _is_refuted(self, live: Live, task: Record, state: TaskState, failure: Failure) -> bool:
        same = sum(each.fingerprint == failure.fingerprint for each in state.tries)
        return (
            self._asks_own
            or (state.func, failure.fingerprint) in live.picture.overcome
            or self._session.routing.is_by_chance(task["func"], same)
        )

    def _own_stops(self, task: Record, own_cost: float | None, failure_class: str) -> bool:
        if own_cost is None:
            return False
        if own_cost == float("inf") or own_cost != own_cost:  # noqa: PLR0124 - not a number: stock ends the task
            return True
        return not is_infrastructure(failure_class) and task["fail_cost"] + own_cost > self._session.retries


def _spent(state: TaskState, budget: str, replaces: DecisionMade | None) -> dict[str, int]:
    spent = dict(state.spent)
    if replaces is not None:
        spent[replaces.budget] = spent.get(replaces.budget, 1) - 1
    spent[budget] = spent.get(budget, 0) + 1
    return spent


def _company(live: Live, executor: str, failed: TryFailed) -> tuple[bool, bool]:
    """Whether an executor has managers on another node, and in another block, than where a try failed."""
    present: set[str] = live.picture.present.get(executor, set())
    other_node = other_block = False
    for name in list(islice(present, MOST_LOOKED_AT)):  # at once: other threads add and remove
        state = live.picture.managers.get(name) if name != failed.manager else None
        if state is None:
            continue
        other_node = other_node or state.node != failed.node
        other_block = other_block or state.block != failed.block
        if other_node and other_block:
            break
    return other_node, other_block


def _bound(task: Record, move: str) -> str:
    """Why a task may not leave its executor; empty if it may."""
    if has_staged_files(task):
        return f"its files were staged to {task['executor']}, and are not staged again"
    return "the setting 'move' keeps tasks where they are" if move == "none" else ""


def _asked_memory(task: Record, state: TaskState, options: Options) -> int | None:
    if state.memory is not None:
        return state.memory
    megabytes = (task.get("resource_specification") or {}).get("memory")
    if isinstance(megabytes, int | float) and megabytes > 0:
        return int(megabytes * MEGABYTE)
    return options.memory


def _failed_managers(live: Live, state: TaskState, here: str, manager: str | None) -> tuple[str, ...]:
    """Managers of this executor where earlier tries of the task failed, unless no other would be left."""
    present: set[str] = live.picture.present.get(here, set())
    tried = {each.manager for each in state.tries if each.status == "failed"}
    failed = {name for name in tried if name in present and name != manager}
    others = len(present) - (manager in present)
    return tuple(sorted(failed)) if len(failed) < others else ()
