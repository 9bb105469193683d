"""A tree of a pattern as functions: a match costs about a microsecond.

What can be known of an event's class is found out once per class: a pattern that asks for another kind
answers without looking at the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import msgspec

from parsl_diaspora.events.envelope import Event, Unknown
from parsl_diaspora.fabric.triggers.rules import Test, any_of
from parsl_diaspora.fabric.triggers.tree import MISSING, Group, Leaf, Node, plain

_SCALARS = frozenset((str, int, float, bool, type(None)))
_LISTS = (list, tuple, set, frozenset)
_OBJECTS = (dict, msgspec.Struct)


def always(value: Any) -> bool:
    """Every value fits."""
    del value
    return True


def never(value: Any) -> bool:
    """No value fits."""
    del value
    return False


class Fields:
    """Whether an object fits a group; an event, a mapping, or a list with such an element.

    Args:
        group: the group.
    """

    __slots__ = ("_by_class", "_either", "_empty", "_fields", "_one_of")

    def __init__(self, group: Group) -> None:
        self._fields = tuple((name, _compiled(node)) for name, node in group.fields)
        self._either = tuple(Fields(each) for each in group.either)
        self._one_of = any_of(self._either) if self._either else always
        self._by_class: dict[type, Test] = {dict: self._in_mapping}
        self._empty = self._in_mapping({})

    def __call__(self, value: Any) -> bool:
        """Whether it fits."""
        cls = type(value)
        test = self._by_class.get(cls)
        if test is None:
            test = self._by_class[cls] = self.of_class(cls)
        return test(value)

    def of_class(self, cls: type) -> Test:
        """The test for values of one class."""
        if issubclass(cls, Unknown):
            return lambda event: self._in_mapping(plain(event))
        if issubclass(cls, msgspec.Struct):
            return self._of_struct(cls)
        if issubclass(cls, dict):
            return self._in_mapping
        if issubclass(cls, _LISTS):
            return self._in_list
        return always if self._empty else never

    def _in_mapping(self, value: dict[str, Any]) -> bool:
        get = value.get
        for name, test in self._fields:
            if not test(get(name, MISSING)):
                return False
        return self._one_of(value)

    def _in_list(self, values: Any) -> bool:
        objects = list(_objects(values))
        return any(map(self, objects)) if objects else self._empty

    def _of_struct(self, cls: type[msgspec.Struct]) -> Test:
        config, tests = cls.__struct_config__, list[tuple[Callable[[Any], Any], Test]]()
        for name, test in self._fields:
            if name == config.tag_field:
                if not test(config.tag):
                    return never
            elif name in cls.__struct_fields__ or (name == "id" and issubclass(cls, Event)):
                tests.append((attrgetter(name), test))
            elif not test(MISSING):
                return never
        either = [each.of_class(cls) for each in self._either]
        if either and always not in either:
            possible = [each for each in either if each is not never]
            if not possible:
                return never
            tests.append((lambda value: value, any_of(possible)))
        return _all(tests)


def _all(tests: list[tuple[Callable[[Any], Any], Test]]) -> Test:
    if not tests:
        return always
    if len(tests) == 1:
        ((read, test),) = tests
        return lambda value: test(MISSING if (field := read(value)) is None else field)
    fixed = tuple(tests)

    def every(value: Any) -> bool:
        for read, test in fixed:
            field = read(value)
            if not test(MISSING if field is None else field):
                return False
        return True

    return every


def _compiled(node: Node) -> Test:
    return Fields(node) if isinstance(node, Group) else _leaf(node)


def _leaf(leaf: Leaf) -> Test:
    test, absent = _scalar(leaf), any(rule.absent for rule in leaf.rules)

    def fits(value: Any) -> bool:
        if type(value) in _SCALARS:
            return test(value)
        if value is MISSING or isinstance(value, _OBJECTS):
            return absent
        if not isinstance(value, _LISTS):
            return test(value)
        found = False
        for each in _leaves(value):
            if test(each):
                return True
            found = True
        return absent and not found

    return fits


def _scalar(leaf: Leaf) -> Test:
    literals = [rule.literal for rule in leaf.rules if rule.is_literal]
    values = frozenset(each for each in literals if not isinstance(each, bool))
    bools = frozenset(each for each in literals if isinstance(each, bool))

    def is_literal(value: Any) -> bool:
        return value in (bools if value is True or value is False else values)

    tests = [rule.test for rule in leaf.rules if not rule.is_literal]
    return any_of([is_literal, *tests] if literals else tests)


def _leaves(values: Any) -> Iterator[Any]:
    for each in values:
        if isinstance(each, _LISTS):
            yield from _leaves(each)
        elif not isinstance(each, _OBJECTS):
            yield each


def _objects(values: Any) -> Iterator[Any]:
    for each in values:
        if isinstance(each, _LISTS):
            yield from _objects(each)
        elif isinstance(each, _OBJECTS):
            yield each
