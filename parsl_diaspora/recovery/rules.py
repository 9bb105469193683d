"""The rules, as data: the first that matches decides, and its reason is what people read.

A rule matches when the failure's class is among its classes (none named: any) and its condition holds in
the situation. Conditions are named here and defined in `parsl_diaspora.recovery.conditions`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["retry", "move", "avoid", "fail"]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule.

    Attributes:
        name: as it stands in decisions.
        classes: failure classes that it is for; empty for all.
        when: name of a condition; empty for always.
        do: ``retry`` at the same executor, ``avoid`` the manager where it failed, ``move`` to another
            executor, or ``fail`` now.
        delay: wait before the next try, longer each time.
        reason: for people; may name ``{missing}``, ``{place}``, ``{target}``, ``{limit}``, ``{budget}``.
    """

    name: str
    classes: tuple[str, ...] = ()
    when: str = ""
    do: Action
    delay: bool = False
    reason: str


_LACKING = ("missing_module", "version_mismatch")
_NODE = ("manager_lost", "node_lost", "partition", "block_walltime", "preempted")
_EXECUTOR = ("executor_lost", "interchange_lost", "block_failed", "batch_refused")
_TOO_SMALL = ("memory", "limits", "disk_full", "gpu")

RULES: tuple[Rule, ...] = (
    # --- when to stop ---
    Rule(
        name="cancelled",
        classes=("cancelled",),
        do="fail",
        reason="somebody asked that the task be stopped",
    ),
    Rule(
        name="raiser-knows-best",
        when="raised_non_retryable",
        do="fail",
        reason="the app said that trying again cannot help",
    ),
    Rule(
        name="listed-non-retryable",
        when="listed_non_retryable",
        do="fail",
        reason="@resilience lists this exception as non-retryable",
    ),
    Rule(
        name="dependency-failed",
        classes=("dependency",),
        do="fail",
        reason="a task that this one waits for failed; see there",
    ),
    Rule(
        name="own-handler-stops",
        when="own_handler_stops",
        do="fail",
        reason="the program's own retry handler allows no further try",
    ),
    Rule(
        name="refused-at-submission",
        classes=("submission", "serialization"),
        when="never_left",
        do="fail",
        reason="the task cannot leave the submit side, so no place can help",
    ),
    Rule(
        name="proven-hopeless",
        when="destined",
        do="fail",
        reason="the same failure with the same inputs at two different places: it is the task's own",
    ),
    Rule(
        name="hard-total",
        when="tries_spent",
        do="fail",
        reason="the task had all the tries that any task may have",
    ),
    Rule(
        name="workers-as-stock",
        classes=_LACKING,
        when="own_package_missing",
        do="retry",
        reason="{place} lacks this package on its workers; it runs tasks as stock Parsl does from now on",
    ),
    Rule(
        name="lacking-everywhere",
        classes=_LACKING,
        when="unfit_everywhere",
        do="fail",
        reason="each executor that the app may use lacks {missing!r}",
    ),
    Rule(
        name="budget-spent",
        when="budget_spent",
        do="fail",
        reason="the budget for {budget} failures ({limit}) is spent",
    ),
    # --- where to go ---
    Rule(
        name="lacking-elsewhere",
        classes=_LACKING,
        when="other_executor",
        do="move",
        reason="{place} lacks {missing!r}; {target} may have it",
    ),
    Rule(
        name="lacking-other-node",
        classes=_LACKING,
        when="other_manager",
        do="avoid",
        reason="this node lacks {missing!r}; another one may have it",
    ),
    Rule(
        name="lacking-once-more",
        classes=_LACKING,
        when="first_of_its_class",
        do="retry",
        delay=True,
        reason="there is no other place; once more, in case a file system was slow to show {missing!r}",
    ),
    Rule(
        name="lacking-nowhere",
        classes=_LACKING,
        do="fail",
        reason="no place that the app may use has {missing!r}",
    ),
    Rule(
        name="executor-lost-move",
        classes=_EXECUTOR,
        when="other_executor",
        do="move",
        reason="{place} is gone as a whole; {target} is there",
    ),
    Rule(
        name="executor-lost-wait",
        classes=_EXECUTOR,
        when="executor_usable",
        do="retry",
        delay=True,
        reason="the executor takes tasks again",
    ),
    Rule(
        name="executor-lost-nowhere",
        classes=_EXECUTOR,
        do="fail",
        reason="no executor that the app may use is left",
    ),
    Rule(
        name="manager-lost-move",
        classes=_NODE,
        when="only_elsewhere",
        do="move",
        reason="no manager is left at this executor; {target} has some",
    ),
    Rule(
        name="manager-lost-retry",
        classes=_NODE,
        do="retry",
        delay=True,
        reason="the manager was lost, not the task; a free try at what is left or comes",
    ),
    Rule(
        name="worker-lost-again-avoid",
        classes=("worker_lost",),
        when="repeated_and_other_manager",
        do="avoid",
        reason="workers keep dying under this task here; another node may bear it",
    ),
    Rule(
        name="worker-lost-again-move",
        classes=("worker_lost",),
        when="repeated_and_other_executor",
        do="move",
        reason="workers keep dying under this task here; {target} may bear it",
    ),
    Rule(
        name="worker-lost-retry",
        classes=("worker_lost",),
        do="retry",
        delay=True,
        reason="the worker was lost, not the task; its manager starts a new one",
    ),
    Rule(
        name="memory-move",
        classes=_TOO_SMALL,
        when="other_executor",
        do="move",
        reason="{target} may have nodes with more memory",
    ),
    Rule(
        name="memory-avoid",
        classes=_TOO_SMALL,
        when="other_manager",
        do="avoid",
        reason="another node may have more memory free",
    ),
    Rule(
        name="memory-retry",
        classes=_TOO_SMALL,
        do="retry",
        delay=True,
        reason="there is no other place; its neighbours may be gone by then",
    ),
    Rule(
        name="walltime-avoid",
        classes=("walltime",),
        when="other_manager",
        do="avoid",
        reason="another node may be faster",
    ),
    Rule(
        name="walltime-move",
        classes=("walltime",),
        when="other_executor",
        do="move",
        reason="{target} may be faster",
    ),
    Rule(
        name="second-opinion-avoid",
        when="other_manager",
        do="avoid",
        reason="a try at another node tells a bad task from a bad place",
    ),
    Rule(
        name="second-opinion-move",
        when="other_executor",
        do="move",
        reason="a try at {target} tells a bad task from a bad place",
    ),
    Rule(
        name="once-more-here",
        do="retry",
        reason="there is no other place to try",
    ),
)
