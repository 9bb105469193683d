"""The grammar of patterns, interpreted as plainly as can be: what the compiled ones are held against."""

from __future__ import annotations

import ipaddress
import re

import msgspec

from parsl_diaspora.events import Event, Unknown

NOTHING = object()


def as_dict(value):
    """An event as the mapping that a pattern sees."""
    if isinstance(value, Unknown):
        return {**value.data, "kind": value.said_kind, "id": value.id}
    if isinstance(value, msgspec.Struct):
        present = ((name, getattr(value, name)) for name in value.__struct_fields__)
        fields = {name: as_dict(field) for name, field in present if field is not None}
        return {**fields, "kind": value.kind, "id": value.id} if isinstance(value, Event) else fields
    if isinstance(value, (list, tuple)):
        return [as_dict(each) for each in value]
    if isinstance(value, dict):
        return {key: as_dict(each) for key, each in value.items()}
    return value


def matches(pattern, event):
    """Whether a mapping fits a pattern."""
    for name, node in pattern.items():
        if name == "$or":
            if not any(matches(each, event) for each in node):
                return False
        elif isinstance(node, dict):
            objects = [each for each in flat(event.get(name, NOTHING)) if isinstance(each, dict)]
            if not any(matches(node, each) for each in objects or [{}]):
                return False
        elif not field_fits(node, event.get(name, NOTHING)):
            return False
    return True


def flat(value):
    if value is NOTHING:
        return []
    if isinstance(value, list):
        return [inner for each in value for inner in flat(each)]
    return [value]


def field_fits(rules, value):
    values = [each for each in flat(value) if not isinstance(each, dict)]
    if not values:
        return {"exists": False} in [rule for rule in rules if isinstance(rule, dict)]
    return any(fits(rule, each) for rule in rules for each in values)


def fits(rule, value):
    if not isinstance(rule, dict):
        return rule == value and (type(rule) is type(value) or (number(rule) and number(value)))
    ((name, argument),) = rule.items()
    return RULES[name](argument, value)


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def edge(method):
    def test(argument, value):
        if not isinstance(value, str):
            return False
        if isinstance(argument, dict):
            return getattr(value.casefold(), method)(argument["equals-ignore-case"].casefold())
        return getattr(value, method)(argument)

    return test


def same_letters(argument, value):
    return isinstance(value, str) and value.casefold() == argument.casefold()


def piece(part):
    return ".*" if part == "*" else re.escape(part[1:] if part[:1] == "\\" else part)


def wildcard(argument, value):
    expression = "".join(map(piece, re.split(r"(\\.|\*)", argument)))
    return isinstance(value, str) and re.fullmatch(expression, value, re.DOTALL) is not None


def numeric(argument, value):
    if not number(value):
        return False
    signs = {
        "=": lambda a, b: a == b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return all(signs[argument[at]](value, argument[at + 1]) for at in range(0, len(argument), 2))


def cidr(argument, value):
    try:
        address = ipaddress.ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return address in ipaddress.ip_network(argument, strict=False)


def anything_but(argument, value):
    if isinstance(argument, dict):
        ((name, inner),) = argument.items()
        rules = [{name: each} for each in (inner if isinstance(inner, list) else [inner])]
    else:
        rules = argument if isinstance(argument, list) else [argument]
    return not any(fits(rule, value) for rule in rules)


RULES = {
    "prefix": edge("startswith"),
    "suffix": edge("endswith"),
    "equals-ignore-case": lambda argument, value: (
        isinstance(value, str) and value.casefold() == argument.casefold()
    ),
    "wildcard": wildcard,
    "numeric": numeric,
    "cidr": cidr,
    "anything-but": anything_but,
    "exists": lambda argument, value: argument,
}
