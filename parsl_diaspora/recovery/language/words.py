"""Rules in words: for the documents and the command line."""

from __future__ import annotations

from typing import NamedTuple

from parsl_diaspora.recovery.language.rules import Delay, Do, Rule, When

_ACTIONS = {
    "here": "retry",
    "other worker": "avoid this worker",
    "other manager": "avoid this manager",
    "other node": "avoid this node",
    "other block": "avoid this block",
    "other executor": "move to another executor",
    "other site": "move to another site",
    "fail": "fail now",
    "hold": "hold it",
}


class RuleWords(NamedTuple):
    """One rule for people."""

    name: str
    classes: str
    when: str
    does: str
    reason: str


def rule_words(rule: Rule) -> RuleWords:
    """A rule in words.

    Example:
        >>> from parsl_diaspora.recovery import built_in
        >>> rule_words(built_in().rules[-1]).does
        'retry'
    """
    does = do_words(rule.do)
    if rule.otherwise is not None:
        does = f"{does}; if that is impossible, {do_words(rule.otherwise)}"
    if rule.times is not None:
        does = f"{does}, {'once' if rule.times == 1 else f'up to {rule.times} times'}"
    classes = ", ".join((*rule.when.classes, *(f"all of {layer}" for layer in rule.when.layers)))
    return RuleWords(rule.name, classes or "any", when_words(rule.when), does, rule.reason)


def when_words(when: When) -> str:
    """What must hold, beside the class.

    Example:
        >>> when_words(When(exceptions=("KeyError",), conditions=("other_node",)))
        'KeyError, other node'
    """
    parts = [" or ".join(when.exceptions)]
    if when.exit_codes:
        parts.append(f"exit code {' or '.join(when.exit_codes)}")
    if when.log:
        parts.append(f"log has /{when.log}/")
    if when.funcs:
        parts.append(f"app {' or '.join(when.funcs)}")
    if when.attempt:
        parts.append(f"attempt {when.attempt}")
    if (count := when.count) is not None:
        parts.append(f"{count.at_least} tasks failed at its {count.by} within {count.within:g} s")
    parts.extend(name.replace("_", " ") for name in when.conditions)
    parts.append(when.expression)
    return ", ".join(part for part in parts if part) or "always"


def do_words(do: Do) -> str:
    """What is done.

    Example:
        >>> do_words(Do(action="other node", delay=Delay(seconds=5.0, factor=1.0)))
        'avoid this node, after 5 s'
    """
    if do.action == "substitute":
        return f"end it with the value {do.value!r}"
    words = _ACTIONS[do.action]
    if do.to:
        words = f"move to {' or '.join(do.to)}"
    parts = [words]
    if do.resize is not None:
        most = f", at most {do.resize.most}" if do.resize.most else ""
        parts.append(f"with memory {do.resize.memory}{most}")
    if do.priority is not None:
        parts.append(f"with priority {do.priority}")
    if do.delay is not None:
        parts.append(_delay_words(do.delay))
    if do.wait is not None:
        parts.append(f"when {do.wait.condition} is there, or after {do.wait.at_most:g} s {do.wait.then}")
    if do.rest is not None:
        seconds = "a while" if do.rest.seconds is None else f"{do.rest.seconds:g} s"
        parts.append(f"and no new work for the {do.rest.level} for {seconds}")
    return ", ".join(parts)


def _delay_words(delay: Delay) -> str:
    if delay.at_once_if_lost:
        return "after a delay from the second time on"
    if delay.seconds is None:
        return "after a delay"
    if delay.factor == 1:
        return f"after {delay.seconds:g} s"
    return f"after {delay.seconds:g} s, longer each time"
