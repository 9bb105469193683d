"""The decision: a pure function of the situation. The result is the event that tells all about it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from parsl_diaspora.events import DecisionMade
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery.conditions import CONDITIONS, WHY_NOT, Situation
from parsl_diaspora.recovery.rules import RULES, Rule
from parsl_diaspora.settings import Settings

__all__ = ["Situation", "decide"]

JITTER = 0.25
MOST_DOUBLINGS = 64

#: Classes in which the place went away rather than turned out wrong: something else takes its part at once.
_LOST = (
    "worker_lost",
    "manager_lost",
    "node_lost",
    "partition",
    "block_walltime",
    "preempted",
    "executor_lost",
    "interchange_lost",
    "block_failed",
    "batch_refused",
)


def decide(
    situation: Situation,
    settings: Settings,
    *,
    rules: Sequence[Rule] = RULES,
    chance: random.Random | None = None,
) -> DecisionMade:
    """What to do about a failed try: the first rule that matches.

    Args:
        situation: all that may be looked at.
        settings: for the delays.
        rules: tried in order; if none matches the task fails, so a decision is always made.
        chance: source of the delays' jitter.

    Example:
        >>> from parsl_diaspora.events import Diagnosis, Failure
        >>> lost = Diagnosis(failure_class="worker_lost", layer="runtime")
        >>> decide(Situation(failure=Failure(), diagnosis=lost), Settings()).rule
        'worker-lost-retry'
    """
    passed: list[str] = []
    for rule in rules:
        if rule.classes and situation.diagnosis.failure_class not in rule.classes:
            continue
        if not rule.when or CONDITIONS[rule.when](situation):
            return _decision(rule, situation, settings, tuple(passed), chance)
        if rule.when in WHY_NOT:
            passed.append(f"{rule.name}: {WHY_NOT[rule.when]}")
    none = Rule(name="no-rule", do="fail", reason="no rule matches this failure")
    return _decision(none, situation, settings, tuple(passed), chance)


def _decision(
    rule: Rule,
    situation: Situation,
    settings: Settings,
    passed: tuple[str, ...],
    chance: random.Random | None,
) -> DecisionMade:
    target = situation.other_executors[0] if rule.do == "move" else None
    avoid = situation.avoid
    if rule.do == "avoid" and situation.manager is not None:
        avoid = (*avoid, situation.manager)
    return DecisionMade(
        diagnosis=situation.diagnosis,
        rule=rule.name,
        reason=_reason(rule, situation, target),
        action=rule.do,
        target=target,
        delay=_delay(rule, situation, settings, chance),
        avoid=() if rule.do in ("move", "fail") else avoid,
        budget=situation.budget,
        used=situation.used,
        limit=situation.limit,
        tries=situation.tries,
        max_tries=situation.max_tries,
        alternatives=passed,
    )


def _reason(rule: Rule, situation: Situation, target: str | None) -> str:
    return rule.reason.format(
        missing=situation.diagnosis.missing,
        place=situation.executor,
        target=target,
        limit=situation.limit,
        budget=situation.budget,
    )


def _delay(rule: Rule, situation: Situation, settings: Settings, chance: random.Random | None) -> float:
    """Doubling, with jitter so that a crowd spreads out; none before the first retry after a mere loss."""
    kind = situation.diagnosis.failure_class
    lost = kind in _LOST and situation.executor_usable
    known = CLASSES.get(kind)
    infrastructure = known is not None and known.infrastructure
    failures = situation.infrastructure_failures if infrastructure else situation.used
    doublings = failures - (2 if lost else 1)
    if not rule.delay or (doublings < 0 and lost):
        return 0.0
    grown = settings.retry_delay * 2.0 ** min(max(0, doublings), MOST_DOUBLINGS)
    longest = min(grown, settings.retry_delay_max)
    return longest * (1 - JITTER * (chance or random).random())
