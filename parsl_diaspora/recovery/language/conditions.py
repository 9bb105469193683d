"""The conditions that rules name: small questions about a situation, each with one answer."""

from __future__ import annotations

from collections.abc import Callable

from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.recovery.situation import Situation
from parsl_diaspora.state.picture import OWN_PACKAGE

REPEATED = 2

Condition = Callable[[Situation], bool]

CONDITIONS: dict[str, Condition] = {
    "raised_non_retryable": lambda s: not s.failure.retryable,
    "listed_non_retryable": lambda s: any(name in s.failure.chain for name in s.options.non_retryable),
    "never_left": lambda s: s.failure.phase == "launch",
    "own_handler_stops": lambda s: s.own_handler_stops,
    "destined": lambda s: s.diagnosis.destined,
    "proven_before": lambda s: bool(s.proof),
    "tries_spent": lambda s: s.tries_are_spent,
    "budget_spent": lambda s: s.used > s.limit,
    "asked_to_wait": lambda s: s.failure.retry_after is not None,
    "own_package_missing": lambda s: s.diagnosis.missing == OWN_PACKAGE and s.used == 1,
    "unfit_everywhere": lambda s: s.unfit_everywhere,
    "infrastructure": lambda s: is_infrastructure(s.diagnosis.failure_class),
    "other_executor": lambda s: bool(s.other_executors),
    "other_site": lambda s: bool(s.other_sites),
    "other_manager": lambda s: s.other_manager and s.manager is not None,
    "other_node": lambda s: s.other_node and s.node is not None,
    "other_block": lambda s: s.other_block and s.block is not None,
    "executor_usable": lambda s: s.executor_usable,
    "only_elsewhere": lambda s: not s.other_manager and s.others_have_managers and bool(s.other_executors),
    "first_of_its_class": lambda s: s.used == 1,
    "repeated": lambda s: s.used >= REPEATED,
    "bound": lambda s: bool(s.bound),
    "memory_known": lambda s: bool(s.asked_memory or s.memory_peak),
}

#: What each condition asks, for people.
MEANINGS: dict[str, str] = {
    "raised_non_retryable": "the app raised NonRetryable",
    "listed_non_retryable": "the app's `@resilience` lists the exception as non-retryable",
    "never_left": "the task could not leave the submit side",
    "own_handler_stops": "the program's own retry handler allows no further try",
    "destined": "trying again is proven useless",
    "proven_before": "other tasks or programs have proven that this failure is the app's own",
    "tries_spent": "the task had the hard total of tries",
    "budget_spent": "the budget that this failure charges is spent",
    "asked_to_wait": "the app raised RetryAfter",
    "own_package_missing": "the workers' environment lacks this package, which is no fault of the task",
    "unfit_everywhere": "each executor that the app may use is known to lack what is missing",
    "infrastructure": "the program had no part in failures of this class",
    "other_executor": "the app may use another executor, which takes tasks",
    "other_site": "one of them belongs to another site",
    "other_manager": "the executor has another manager",
    "other_node": "the executor has a manager on another node",
    "other_block": "the executor has a manager in another block",
    "executor_usable": "the executor where it failed takes tasks",
    "only_elsewhere": "the executor has no other manager, and another executor has one",
    "first_of_its_class": "it is the task's first failure that charges this budget",
    "repeated": "it is not the first one",
    "bound": "the task may not leave its executor: staged files, or the setting `move`",
    "memory_known": "it is known how much memory the task asks for, or had",
}

#: Why a condition did not hold, for the alternatives of a decision. Others are not told.
WHY_NOT: dict[str, str] = {
    "other_executor": "no other executor is usable for this app",
    "other_site": "no executor of another site is usable for this app",
    "other_manager": "no other manager is there at this executor",
    "other_node": "no other node is there at this executor",
    "other_block": "no other block is there at this executor",
    "executor_usable": "the executor takes no tasks",
    "only_elsewhere": "this executor still has managers, or no other one has",
    "first_of_its_class": "it is not the first failure of this class",
    "repeated": "it is the first such loss",
    "own_package_missing": "it is not about this package's own part on the workers",
    "never_left": "it had left the submit side",
    "unfit_everywhere": "not every executor is known to lack it",
    "memory_known": "nothing tells how much memory it had",
}
