"""The conditions that rules name: small questions about a situation, each with one answer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.recovery.options import NO_OPTIONS, Options
from parsl_diaspora.state.picture import OWN_PACKAGE

REPEATED = 2


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision may look at. Built by the caller from the picture, in O(1).

    Attributes:
        failure: the evidence.
        diagnosis: why the try failed.
        options: what the app's author said.
        executor: label of the executor where it failed.
        manager: id of the manager where it failed, if known.
        other_executors: labels that the app may use, that are usable, and not known to be unfit for it,
            least loaded first.
        others_have_managers: the first of them has managers now.
        other_manager: the same executor has managers besides the one where it failed.
        executor_usable: the executor where it failed still takes tasks.
        unfit_everywhere: each executor that the app may use is known to lack what is missing.
        tries: tries so far.
        max_tries: the hard total.
        budget: name of the budget that this failure charges.
        used: what that budget has spent, this failure included.
        limit: what it allows.
        infrastructure_failures: failures of the task that it had no part in, this one included.
        own_handler_stops: the program's own retry handler allows no further try.
        avoid: managers that the task should avoid already.
    """

    failure: Failure
    diagnosis: Diagnosis
    options: Options = NO_OPTIONS
    executor: str = ""
    manager: str | None = None
    other_executors: tuple[str, ...] = ()
    others_have_managers: bool = False
    other_manager: bool = False
    executor_usable: bool = True
    unfit_everywhere: bool = False
    tries: int = 1
    max_tries: int = 12
    budget: str = "application"
    used: int = 1
    limit: int = 1
    infrastructure_failures: int = 0
    own_handler_stops: bool = False
    avoid: tuple[str, ...] = ()


Condition = Callable[[Situation], bool]

CONDITIONS: dict[str, Condition] = {
    "raised_non_retryable": lambda s: not s.failure.retryable,
    "listed_non_retryable": lambda s: any(name in s.failure.chain for name in s.options.non_retryable),
    "never_left": lambda s: s.failure.phase == "launch",
    "own_handler_stops": lambda s: s.own_handler_stops,
    "destined": lambda s: s.diagnosis.destined,
    "tries_spent": lambda s: s.tries >= s.max_tries,
    "budget_spent": lambda s: s.used > s.limit,
    "own_package_missing": lambda s: s.diagnosis.missing == OWN_PACKAGE and s.used == 1,
    "unfit_everywhere": lambda s: s.unfit_everywhere,
    "other_executor": lambda s: bool(s.other_executors),
    "other_manager": lambda s: s.other_manager and s.manager is not None,
    "executor_usable": lambda s: s.executor_usable,
    "only_elsewhere": lambda s: not s.other_manager and s.others_have_managers and bool(s.other_executors),
    "first_of_its_class": lambda s: s.used == 1,
    "repeated_and_other_manager": lambda s: s.used >= REPEATED and s.other_manager and s.manager is not None,
    "repeated_and_other_executor": lambda s: s.used >= REPEATED and bool(s.other_executors),
}

#: Why a condition did not hold, for the alternatives of a decision.
WHY_NOT: dict[str, str] = {
    "other_executor": "no other executor is usable for this app",
    "other_manager": "no other manager is there at this executor",
    "executor_usable": "the executor takes no tasks",
    "only_elsewhere": "this executor still has managers, or no other one has",
    "first_of_its_class": "it is not the first failure of this class",
    "repeated_and_other_manager": "it is the first such loss, or there is no other manager",
    "repeated_and_other_executor": "it is the first such loss, or there is no other executor",
    "own_package_missing": "it is not about this package's own part on the workers",
    "unfit_everywhere": "not every executor is known to lack it",
    "never_left": "it had left the submit side",
}
