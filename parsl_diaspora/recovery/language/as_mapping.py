"""Rules that were made in Python as they would stand in YAML, so that both are checked alike."""

from __future__ import annotations

from typing import Any

import msgspec

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.recovery.language.rules import Delay, Do, Rule, When

_WHEN = {
    "class": "classes",
    "layer": "layers",
    "exception": "exceptions",
    "exit_code": "exit_codes",
    "log": "log",
    "func": "funcs",
    "attempt": "attempt",
    "is": "conditions",
    "if": "expression",
}


def as_mapping(rule: Rule) -> dict[str, Any]:
    """A rule as it would stand in YAML.

    Raises:
        SettingsError: something in it is of the wrong type.

    Example:
        >>> as_mapping(Rule(name="again", do=Do(action="other node"), reason="it is bad"))
        {'name': 'again', 'when': {}, 'do': {'try': 'other node'}, 'reason': 'it is bad'}
    """
    try:
        rule = msgspec.convert(msgspec.to_builtins(rule), Rule)
    except (msgspec.ValidationError, TypeError) as error:
        message = f"The rule {rule.name!r} does not fit: {error}."
        raise SettingsError(message, hint="docs/policy.md tells what each part can be.") from error
    made = {"name": rule.name, "when": _when(rule.when), "do": _do(rule.do), "reason": rule.reason}
    if rule.otherwise is not None:
        made["else"] = _do(rule.otherwise)
    return made if rule.times is None else {**made, "times": rule.times}


def _when(when: When) -> dict[str, Any]:
    made = {key: _listed(value) for key, name in _WHEN.items() if (value := getattr(when, name))}
    if when.count is not None:
        made["count"] = {"by": when.count.by, "at_least": when.count.at_least, "within": when.count.within}
    return made


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _do(do: Do) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if do.tries:
        made["try"] = do.action
    elif do.action == "substitute":
        made["substitute"] = do.value
    elif do.action == "hold":
        made["hold"] = {"number": do.number, "suggestion": do.suggestion}
    else:
        made["fail"] = True
    if do.to:
        made["to"] = list(do.to)
    if do.resize is not None:
        made["resize"] = {"memory": do.resize.memory, "most": do.resize.most}
    if do.priority is not None:
        made["priority"] = do.priority
    if do.delay is not None:
        made["delay"] = _delay(do.delay)
    if do.wait is not None:
        made["wait"] = {"for": do.wait.condition, "at_most": do.wait.at_most, "then": do.wait.then}
    if do.rest is not None:
        made["quarantine"] = {do.rest.level: do.rest.seconds}
    return made


def _delay(delay: Delay) -> dict[str, Any]:
    made: dict[str, Any] = {"factor": delay.factor, "jitter": delay.jitter, "at_once": delay.at_once_if_lost}
    times = {"seconds": delay.seconds, "most": delay.most}
    return made | {name: value for name, value in times.items() if value is not None}
