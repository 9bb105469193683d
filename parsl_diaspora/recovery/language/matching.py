"""Rules made fast: which are for a class of failures, and whether one is for a situation."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from parsl_diaspora.failures import CLASSES
from parsl_diaspora.failures.patterns import exit_code_test
from parsl_diaspora.recovery.language.conditions import CONDITIONS, WHY_NOT, Condition
from parsl_diaspora.recovery.language.expressions import Expression
from parsl_diaspora.recovery.language.rules import Count, Rule, When
from parsl_diaspora.recovery.situation import EVIDENCE, Situation

NOT = "not "

#: In words why it does not hold; empty for what nobody asks about.
WhyNot = Callable[[Situation], str]


class Test(NamedTuple):
    """One part of a rule's ``when``."""

    holds: Condition
    why_not: WhyNot


class ReadyRule(NamedTuple):
    """A rule with its tests."""

    rule: Rule
    tests: tuple[Test, ...]

    def why_not(self, situation: Situation) -> str | None:
        """None if the rule is for this situation; else why not, empty if that is not worth telling."""
        for test in self.tests:
            if not test.holds(situation):
                return test.why_not(situation)
        return None


def made_ready(rules: Iterable[Rule]) -> dict[str, tuple[ReadyRule, ...]]:
    """The rules that may be for each class of failures, in order."""
    ready = [(classes_of(rule.when), ReadyRule(rule, _tests(rule.when))) for rule in rules]
    return {name: tuple(rule for classes, rule in ready if name in classes) for name in CLASSES}


def classes_of(when: When) -> frozenset[str]:
    """Classes of failures that a rule may be for."""
    named = when.classes or tuple(CLASSES)
    return frozenset(
        name for name in named if not when.layers or (name in CLASSES and CLASSES[name].layer in when.layers)
    )


def attempts_of(text: str) -> tuple[float, float]:
    """The first and the last attempt that are meant.

    Raises:
        ValueError: it is neither a number, a range nor a comparison.

    Example:
        >>> attempts_of("2-4"), attempts_of("> 2"), attempts_of("3")
        ((2, 4), (3, inf), (3, 3))
    """
    found = re.fullmatch(r"\s*(?:(>=|<=|>|<)\s*(\d+)|(\d+)(?:\s*-\s*(\d+))?)\s*", text)
    if found is None:
        raise ValueError(f"{text!r} is no attempt")
    sign, bound, low, high = found.groups()
    if sign is None:
        return int(low), int(high or low)
    step = int(bound)
    return {
        ">": (step + 1, float("inf")),
        ">=": (step, float("inf")),
        "<": (1, step - 1),
        "<=": (1, step),
    }[sign]


def _tests(when: When) -> tuple[Test, ...]:
    """Cheap ones first."""
    makers = (_attempt, _exception, _exit_code, _func, _conditions, _count, _expression, _log)
    return tuple(test for make in makers for test in make(when))


def _silently(holds: Condition) -> Test:
    return Test(holds, lambda _: "")


def _attempt(when: When) -> list[Test]:
    if not when.attempt:
        return []
    low, high = attempts_of(when.attempt)
    return [_silently(lambda s: low <= s.tries <= high)]


def _exception(when: When) -> list[Test]:
    if not when.exceptions:
        return []
    names = frozenset(when.exceptions)
    return [
        _silently(
            lambda s: any(each in names or each.rpartition(".")[2] in names for each in s.failure.chain)
        )
    ]


def _exit_code(when: When) -> list[Test]:
    if not when.exit_codes:
        return []
    fits = exit_code_test(when.exit_codes)
    return [_silently(lambda s: fits(s.failure.exit_code))]


def _func(when: When) -> list[Test]:
    if not when.funcs:
        return []
    matches = re.compile("|".join(f"(?:{fnmatch.translate(each)})" for each in when.funcs)).match
    return [_silently(lambda s: matches(s.func) is not None)]


def _conditions(when: When) -> list[Test]:
    return [_condition(name) for name in when.conditions]


def _condition(name: str) -> Test:
    if name.startswith(NOT):
        condition = CONDITIONS[name[len(NOT) :].strip()]
        return _silently(lambda s: not condition(s))
    why = WHY_NOT.get(name, "")
    return Test(CONDITIONS[name], lambda _: why)


def _count(when: When) -> list[Test]:
    count = when.count
    if count is None:
        return []

    def told(situation: Situation) -> str:
        return _count_words(count, situation.counter(count.by, count.within))

    return [Test(lambda s: s.counter(count.by, count.within) >= count.at_least, told)]


def _count_words(count: Count, there: int) -> str:
    tasks = "task has" if there == 1 else "tasks have"
    return f"{there} {tasks} failed at its {count.by} within {count.within:g} s, not {count.at_least}"


def _expression(when: When) -> list[Test]:
    if not when.expression:
        return []
    expression = Expression(when.expression, list(EVIDENCE))

    def told(situation: Situation) -> str:
        unknown = expression.unknown(situation.evidence)
        return f"{unknown[0]} is not known" if unknown else f"{expression.text!r} does not hold"

    return [Test(lambda s: expression.holds(s.evidence), told)]


def _log(when: When) -> list[Test]:
    if not when.log:
        return []
    search = re.compile(when.log).search

    def holds(situation: Situation) -> bool:
        failure = situation.failure
        return any(text and search(text) for text in (failure.message, failure.stderr, failure.traceback))

    return [_silently(holds)]
