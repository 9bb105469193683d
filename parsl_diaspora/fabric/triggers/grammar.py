"""From the JSON of a pattern to its tree; what is no pattern is refused with its place and a remedy.

The grammar is that of the event patterns of AWS EventBridge.
"""

from __future__ import annotations

import ipaddress
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from parsl_diaspora.errors import PatternError
from parsl_diaspora.fabric.triggers import rules
from parsl_diaspora.fabric.triggers.rules import NUMERIC, Rule, Test
from parsl_diaspora.fabric.triggers.tree import Group, Leaf, Node
from parsl_diaspora.hints import nearest

OR = "$or"
DEEPEST = 50
_SCALARS = (str, int, float, bool, type(None))
_LOWER, _UPPER = (">", ">="), ("<", "<=")


def read_pattern(text: str) -> dict[str, Any]:
    """The JSON of a pattern from a text.

    Raises:
        PatternError: it is no JSON, or a key stands there twice.
    """
    try:
        pattern = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        hint = 'A pattern is JSON, as {"kind": ["task.try_failed"]}.'
        raise PatternError(f"The pattern does not parse as JSON: {error}.", hint=hint) from error
    if not isinstance(pattern, dict):
        _refuse("", f"is {_a(pattern)}, not an object", 'Write {"kind": ["task.try_failed"]}.')
    return pattern


def parse(pattern: Any) -> Group:
    """The tree of a pattern.

    Raises:
        PatternError: it is none.
    """
    return _group(pattern, "", 0)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = [key for key, _ in pairs]
        twice = next(key for key in seen if seen.count(key) > 1)
        _refuse(twice, "stands there twice", "Put both rules into one list, or use $or.")
    return made


def _group(pattern: Any, path: str, depth: int) -> Group:
    if not isinstance(pattern, Mapping):
        _refuse(path, f"is {_a(pattern)}, not an object of fields", 'Write {"kind": ["task.try_failed"]}.')
    if not pattern:
        _refuse(path, "is empty", 'Name a field, as {"kind": [{"exists": true}]}, which fits every event.')
    if depth > DEEPEST:
        _refuse(path, f"is more than {DEEPEST} levels deep", "Events are not that deep.")
    fields: list[tuple[str, Node]] = []
    either: tuple[Group, ...] = ()
    for name, node in pattern.items():
        if not isinstance(name, str):
            _refuse(path, f"has the key {name!r}, which is no text", "Put the name into quotes.")
        below = f"{path}.{name}" if path else name
        if name == OR:
            either = _alternatives(node, below, depth)
        else:
            fields.append((name, _node(node, below, depth)))
    return Group(tuple(fields), either)


def _alternatives(node: Any, path: str, depth: int) -> tuple[Group, ...]:
    if not isinstance(node, (list, tuple)) or not node:
        hint = 'Write {"$or": [{"task": [1]}, {"node": ["n1"]}]}.'
        _refuse(path, f"is {_a(node)}, not a list of alternatives", hint)
    return tuple(_group(each, f"{path}[{at}]", depth + 1) for at, each in enumerate(node))


def _node(node: Any, path: str, depth: int) -> Node:
    if isinstance(node, Mapping):
        if len(node) == 1 and _is_rule(name := next(iter(node)), node[name]):
            _refuse(path, f"has the rule {name!r} outside a list", f"Write [{_json(node)}].")
        return _group(node, path, depth + 1)
    if not isinstance(node, (list, tuple)):
        _refuse(path, f"is {_a(node)}, not a list of rules", f"Write [{_json(node)}].")
    if not node:
        hint = 'For a text without characters write [""], for a missing field [{"exists": false}].'
        _refuse(path, "is an empty list, which nothing fits", hint)
    return Leaf(tuple(_rule(each, f"{path}[{at}]") for at, each in enumerate(node)))


def _is_rule(name: Any, argument: Any) -> bool:
    """Whether it is a rule rather than a field that happens to have a rule's name."""
    takes_list = name in ("numeric", "anything-but")
    return name in _RULES and (takes_list or not isinstance(argument, (list, tuple)))


def _rule(rule: Any, path: str) -> Rule:
    if isinstance(rule, _SCALARS):
        _check_finite(rule, path)
        return rules.equals(_json(rule), rule)
    if not isinstance(rule, Mapping):
        _refuse(path, f"is {_a(rule)}, not a value or a rule", "Put the values side by side in one list.")
    if len(rule) != 1:
        hint = "Put each rule into braces of its own; one that fits is enough."
        _refuse(path, f"has {len(rule)} rules in one pair of braces", hint)
    ((name, argument),) = rule.items()
    if name not in _RULES:
        _refuse_name(path, name, sorted(_RULES))
    return _RULES[name](argument, f"{path}.{name}", _json(rule))


# --- the rules ---


def _made(read: Callable[[Any, str], Test]) -> Callable[[Any, str, str], Rule]:
    return lambda argument, path, text: Rule(text, read(argument, path))


def _exists(argument: Any, path: str, text: str) -> Rule:
    if not isinstance(argument, bool):
        _refuse(path, f"is {_a(argument)}", "Write true or false.")
    return rules.exists(text, argument)


def _end(plain: Callable[[Sequence[str]], Test], folded: Callable[[str], Test]) -> Callable[[Any, str], Test]:
    def read(argument: Any, path: str) -> Test:
        if not isinstance(argument, Mapping):
            return plain([_text(argument, path)])
        name = "equals-ignore-case"
        if list(argument) != [name]:
            _refuse_name(path, next(iter(argument), ""), [name])
        return folded(_text(argument[name], f"{path}.{name}"))

    return read


def _ignore_case(argument: Any, path: str) -> Test:
    return rules.same_letters([_text(argument, path)])


def _wildcard(argument: Any, path: str) -> Test:
    return rules.like(_pieces(_text(argument, path), path))


def _pieces(text: str, path: str) -> list[str]:
    pieces, escaped, last = [""], False, ""
    for letter in text:
        if escaped:
            if letter not in "*\\":
                _refuse(
                    path, f"has a backslash before {letter!r}", r"Write \\ for a backslash, \* for a star."
                )
            pieces[-1] += letter
        elif letter == "*":
            if last == "*":
                _refuse(path, "has two stars in a row", "One star stands for any characters already.")
            pieces.append("")
        elif letter != "\\":
            pieces[-1] += letter
        escaped, last = letter == "\\" and not escaped, "" if escaped else letter
    if escaped:
        _refuse(path, "ends with a lone backslash", r"Write \\ for a backslash.")
    return pieces


def _numeric(argument: Any, path: str) -> Test:
    hint = 'Write ["=", 5], [">", 0] or [">=", 0, "<", 10].'
    if not isinstance(argument, (list, tuple)) or len(argument) not in (2, 4):
        _refuse(path, f"is {_a(argument)}, not one or two comparisons", hint)
    pairs = list(zip(argument[::2], argument[1::2], strict=True))
    for sign, number in pairs:
        if sign not in NUMERIC:
            other = "For 'not equal' use anything-but." if sign in ("!=", "<>") else hint
            _refuse(path, f"has {sign!r} where one of {', '.join(NUMERIC)} belongs", other)
        if not isinstance(number, (int, float)) or isinstance(number, bool):
            _refuse(path, f"has {_a(number)} where a number belongs", hint)
        _check_finite(number, path)
    if len(pairs) > 1:
        _check_range(pairs, path, hint)
    return rules.between(pairs)


def _check_range(pairs: list[tuple[str, float]], path: str, hint: str) -> None:
    (first, low), (second, high) = sorted(pairs, key=lambda pair: pair[0] in _UPPER)
    if first not in _LOWER or second not in _UPPER:
        _refuse(path, "is no range: it needs one lower and one upper bound", hint)
    if low > high or (low == high and (first, second) != (">=", "<=")):
        _refuse(path, f"is a range that no number is in: {first} {low} and {second} {high}", hint)


def _cidr(argument: Any, path: str) -> Test:
    text = _text(argument, path)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        hint = 'Write {"cidr": "10.0.0.0/24"} or {"cidr": "2001:db8::/32"}.'
        _refuse(path, f"is no network: {error}", hint)
    return rules.in_network(network)


def _anything_but(argument: Any, path: str) -> Test:
    if isinstance(argument, Mapping):
        ((name, inner),) = argument.items() if len(argument) == 1 else (("", None),)
        if name not in _BUT:
            _refuse_name(path, name, sorted(_BUT))
        return rules.none_of(_each(inner, f"{path}.{name}", _BUT[name]))
    return rules.none_of(_each(argument, path, _value))


def _each(argument: Any, path: str, read: Callable[[Any, str], Test]) -> Test:
    if not isinstance(argument, (list, tuple)):
        return read(argument, path)
    if not argument:
        _refuse(path, "is an empty list", "Name what is not wanted.")
    return rules.any_of([read(each, f"{path}[{at}]") for at, each in enumerate(argument)])


def _value(argument: Any, path: str) -> Test:
    if not isinstance(argument, _SCALARS):
        _refuse(path, f"is {_a(argument)}, not a value", 'Write {"anything-but": ["a", "b"]}.')
    _check_finite(argument, path)
    return rules.equals("", argument).test


_prefix = _end(rules.begins, rules.begins_with_letters)
_suffix = _end(rules.ends, rules.ends_with_letters)
_BUT: dict[str, Callable[[Any, str], Test]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
}
_RULES: dict[str, Callable[[Any, str, str], Rule]] = {
    **{name: _made(read) for name, read in _BUT.items()},
    "numeric": _made(_numeric),
    "cidr": _made(_cidr),
    "anything-but": _made(_anything_but),
    "exists": _exists,
}


# --- what is wrong ---


def _text(argument: Any, path: str) -> str:
    if not isinstance(argument, str):
        _refuse(path, f"is {_a(argument)}, not a text", "Put it into quotes.")
    return argument


def _check_finite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(path, f"is {value}, which no event can hold", "Write a finite number.")


def _refuse(path: str, what: str, hint: str) -> NoReturn:
    where = f"The pattern at {path!r}" if path else "The pattern"
    raise PatternError(f"{where} {what}.", path=path, hint=hint)


def _refuse_name(path: str, name: Any, names: Sequence[str]) -> NoReturn:
    hint = nearest(str(name), names, listed="The rules here are")
    _refuse(path, f"has {name!r}, which is no rule", hint)


def _a(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object" if value else "an empty object"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    return _json(value) if isinstance(value, _SCALARS) else f"a {type(value).__name__}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
