"""The decision: a pure function of the situation. The result is the event that tells all about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from parsl_diaspora.events import DecisionMade
from parsl_diaspora.recovery.actions import (
    avoided,
    memory,
    seconds_before,
    targets,
    wait_condition,
    why_impossible,
)
from parsl_diaspora.recovery.language.policy import Policy, built_in
from parsl_diaspora.recovery.language.rules import Do, Rule
from parsl_diaspora.recovery.replay import known
from parsl_diaspora.recovery.situation import Situation
from parsl_diaspora.settings import Settings
from parsl_diaspora.sizes import size_words

__all__ = ["Chosen", "Situation", "choose", "decide"]

FAIL = Do(action="fail")
NO_RULE = Rule(name="no-rule", do=FAIL, reason="no rule is for this failure")
HARD_TOTAL = Rule(name="hard-total", do=FAIL, reason="the task had all the tries that any task may have")

#: Actions of rules, and what decisions call them.
_WORDS = {"here": "retry", "other executor": "move", "other site": "move"}


class Chosen(NamedTuple):
    """A decision, and the part of it that stays in the program: the value that stands in for a result."""

    decision: DecisionMade
    do: Do
    value: Any = None


def decide(situation: Situation, settings: Settings, *, policy: Policy | None = None) -> DecisionMade:
    """What to do about a failed try: the first rule that is for it and can be carried out.

    Args:
        situation: all that may be looked at.
        settings: for the delays.
        policy: the rules; the built-in ones by default.

    Example:
        >>> from parsl_diaspora.events import Diagnosis, Failure
        >>> lost = Diagnosis(failure_class="worker_lost", layer="runtime")
        >>> decide(Situation(failure=Failure(), diagnosis=lost), Settings()).rule
        'worker-lost-retry'
    """
    return choose(situation, settings, policy or built_in()).decision


def choose(situation: Situation, settings: Settings, policy: Policy) -> Chosen:
    """As `decide`, with what the program itself needs to carry it out."""
    passed: list[str] = []
    no_more = _no_more_tries(situation)
    for ready in policy.candidates(situation.diagnosis.failure_class):
        rule = ready.rule
        why_not = ready.why_not(situation)
        if why_not is None:
            for do in (rule.do, rule.otherwise):
                if do is None:
                    continue
                why_not = _stopped(rule, do, situation, no_more) or why_impossible(do, situation)
                if not why_not:
                    return _chosen(rule, do, situation, settings, passed)
                passed.append(f"{rule.name}: {why_not}")
        elif why_not:
            passed.append(f"{rule.name}: {why_not}")
    none = HARD_TOTAL if situation.tries_are_spent else NO_RULE
    return _chosen(none, FAIL, situation, settings, passed)


def _no_more_tries(situation: Situation) -> str:
    """Why no rule may try the task again, whoever wrote it; empty if one may."""
    if situation.diagnosis.failure_class in _FINAL:
        return _FINAL[situation.diagnosis.failure_class]
    if situation.tries_are_spent:
        return f"the task had all its {situation.max_tries} tries"
    if not situation.failure.retryable:
        return "the app said that trying again cannot help"
    return "the program's own retry handler allows no further try" if situation.own_handler_stops else ""


_FINAL = {"cancelled": "the task is to be stopped", "dependency": "a task that it waits for has failed"}


def _stopped(rule: Rule, do: Do, situation: Situation, no_more: str) -> str:
    """What goes over the rule: final failures, the hard total, the budget, the rule's own number."""
    if do.action == "hold":
        over = situation.tries_are_spent or situation.diagnosis.failure_class in _FINAL
        return no_more if over else ""
    if not do.tries:
        return ""
    if no_more:
        return no_more
    if rule.times is not None:
        used = situation.uses.get(rule.name, 0)
        return f"it has decided {used} times for this task already" if used >= rule.times else ""
    if situation.used > situation.limit:
        return f"the budget for {situation.budget} failures ({situation.limit}) is spent"
    return ""


def _chosen(rule: Rule, do: Do, situation: Situation, settings: Settings, passed: list[str]) -> Chosen:
    substitute = situation.options.substitute if do.action == "fail" else ()
    if substitute and situation.diagnosis.failure_class not in _FINAL:
        made = Do(action="substitute", value=substitute[0])
        return Chosen(_decision(rule, made, situation, settings, passed), made, substitute[0])
    return Chosen(_decision(rule, do, situation, settings, passed), do, do.value)


def _decision(
    rule: Rule, do: Do, situation: Situation, settings: Settings, passed: list[str]
) -> DecisionMade:
    moves = do.action in ("other executor", "other site")
    target = targets(do, situation)[0] if moves else None
    needed = memory(do.resize, situation) if do.tries else None
    if do.tries and do.resize is not None and needed == situation.asked_memory:
        passed = [*passed, f"{rule.name}: no more memory is asked for, as nothing tells how much it had"]
    made = DecisionMade(
        diagnosis=situation.diagnosis,
        rule=rule.name,
        reason=_reason(rule, situation, target, needed),
        action=_action(do),
        target=target,
        delay=seconds_before(do, situation, settings) if do.tries else 0.0,
        avoid=avoided(do, situation),
        memory=needed,
        priority=do.priority,
        budget=situation.budget,
        used=situation.used,
        limit=situation.limit,
        tries=situation.tries,
        max_tries=situation.max_tries,
        alternatives=tuple(passed),
        known=known(situation),
    )
    if do.tries and do.wait is not None:
        made.wait, made.wait_timeout = wait_condition(do.wait, situation), do.wait.at_most
        made.wait_else = do.wait.then
    if do.rest is not None:
        seconds = do.rest.seconds
        made.rest, made.rest_for = do.rest.level, settings.quarantine_for if seconds is None else seconds
    if do.action == "hold":
        made.held_number, made.suggestion = do.number, do.suggestion
    return made


def _action(do: Do) -> str:
    return do.action if not do.tries else _WORDS.get(do.action, "avoid")


def _reason(rule: Rule, situation: Situation, target: str | None, needed: int | None) -> str:
    if not rule.reason:
        return f"the rule {rule.name!r} of the policy says so"
    if "{" not in rule.reason:
        return rule.reason
    return rule.reason.format(
        missing=situation.diagnosis.missing,
        place=situation.executor,
        target=target,
        limit=situation.limit,
        budget=situation.budget,
        file=situation.failure.filename or "a file",
        manager=situation.manager or "a manager",
        node=situation.node or "a node",
        memory=size_words(needed) if needed else "more memory",
        func=situation.func,
        proof=situation.proof,
    )
