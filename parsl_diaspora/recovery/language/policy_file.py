"""Policies in YAML: read strictly, so that what is wrong is told with its line and with what to do."""

from __future__ import annotations

from typing import Any

from parsl_diaspora.failures import CLASSES, current_name
from parsl_diaspora.lined_yaml import Lined, Place
from parsl_diaspora.recovery.language.as_mapping import as_mapping
from parsl_diaspora.recovery.language.do_file import MOST_TRIES, read_do
from parsl_diaspora.recovery.language.fields import REASON_NAMES, check_names
from parsl_diaspora.recovery.language.rules import Rule
from parsl_diaspora.recovery.language.when_file import read_when

__all__ = ["MOST_TRIES", "read_policy", "read_rules"]

_KEYS = ("budgets", "max_tries", "inherit", "rules")
_RULE_KEYS = ("name", "when", "do", "else", "times", "reason")


def read_policy(value: Any, source: str) -> dict[str, Any]:
    """The arguments of a policy, from a YAML document.

    Raises:
        SettingsError: something in it is wrong.
    """
    place = Place(source)
    if not value:
        raise place.error("The policy is empty.", f"It holds: {', '.join(_KEYS)}.")
    place.known_keys(value, _KEYS, "A policy")
    inherit = value.get("inherit", True)
    if not isinstance(inherit, bool):
        raise place.at(value, "inherit").error(
            f"'inherit' must be true or false, not {inherit!r}.", "False leaves the built-in rules out."
        )
    return {
        "budgets": _budgets(value.get("budgets") or {}, place.at(value, "budgets")),
        "max_tries": _max_tries(value.get("max_tries"), place.at(value, "max_tries")),
        "inherit": inherit,
        "rules": read_rules(value.get("rules") or [], source),
    }


def read_rules(values: Any, source: str) -> list[Rule]:
    """Rules from a list of mappings; each may also be a `Rule` already.

    Raises:
        SettingsError: something in it is wrong.
    """
    place = Place(source)
    if not isinstance(values, list | tuple):
        raise place.error("'rules' must be a list.", "Each rule begins with '- name:'.")
    rules: list[Rule] = []
    lines: dict[str, int] = {}
    for value in values:
        rule = _rule(as_mapping(value) if isinstance(value, Rule) else value, place.at(value))
        line = value.lines.get("name", value.line) if isinstance(value, Lined) else 0
        if rule.name in lines:
            first = f", the first in line {lines[rule.name]}" if line else ""
            raise Place(source, line).error(
                f"There are two rules called {rule.name!r}{first}.", "Rename one."
            )
        lines[rule.name] = line
        rules.append(rule)
    return rules


def _budgets(values: Any, place: Place) -> dict[str, int]:
    place.known_keys(values, {*CLASSES, *_OLD_NAMES}, "'budgets'")
    for name, budget in values.items():
        if not isinstance(budget, int) or isinstance(budget, bool) or not 0 <= budget <= MOST_TRIES:
            here = place.at(values, name)
            raise here.error(
                f"The budget of {name!r} must be a whole number from 0 to {MOST_TRIES}.", "0 means no retry."
            )
    return {current_name(name): budget for name, budget in values.items()}


_OLD_NAMES = ("environment", "unreadable")


def _max_tries(value: Any, place: Place) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TRIES:
        hint = "Without a total a task could be tried for ever."
        raise place.error(f"'max_tries' must be a whole number from 1 to {MOST_TRIES}, not {value!r}.", hint)
    return value


def _rule(value: Any, place: Place) -> Rule:
    place.known_keys(value, _RULE_KEYS, "A rule")
    name = value.get("name")
    if not name or not isinstance(name, str):
        raise place.error("A rule must have a name.", "Begin it with '- name: what-it-is-for'.")
    if not value.get("do"):
        raise place.error(f"The rule {name!r} must say what to do.", "As 'do: other executor'.")
    if not value.get("reason"):
        raise place.error(f"The rule {name!r} must have a reason.", "It is what people read of a decision.")
    reason = str(value["reason"])
    check_names(reason, REASON_NAMES, place.at(value, "reason"), "reason")
    return Rule(
        name=name,
        when=read_when(value.get("when") or {}, place.at(value, "when")),
        do=read_do(value["do"], place.at(value, "do")),
        otherwise=read_do(value["else"], place.at(value, "else")) if value.get("else") else None,
        times=_times(value.get("times"), place.at(value, "times")),
        reason=reason,
    )


def _times(value: Any, place: Place) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_TRIES:
        hint = "A rule that tries again without end would never let the task end."
        raise place.error(f"'times' must be a whole number from 1 to {MOST_TRIES}, not {value!r}.", hint)
    return value
