"""The rules of a pattern: each says of one value whether it fits."""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

Test = Callable[[Any], bool]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NUMERIC: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ADDRESSES_KEPT = 4_096


class Rule(msgspec.Struct, frozen=True):
    """One rule of a field.

    Attributes:
        text: the rule as it is written, as JSON.
        test: whether a value fits: a text, a number, true, false or null.
        absent: whether it fits a field that is not there.
        is_literal: it is the value ``literal`` itself.
        literal: that value.
    """

    text: str
    test: Test
    absent: bool = False
    is_literal: bool = False
    literal: str | float | bool | None = None


def equals(text: str, literal: Any) -> Rule:
    """The value itself. True is not 1 here, but 1 is 1.0, as in JSON."""
    is_bool = isinstance(literal, bool)
    return Rule(
        text, lambda value: value == literal and isinstance(value, bool) is is_bool, False, True, literal
    )


def exists(text: str, wanted: bool) -> Rule:
    """The field has a value, which may be null; or it has none."""
    return Rule(text, lambda value: wanted, absent=not wanted)


def begins(prefixes: Sequence[str]) -> Test:
    """A text that begins with one of these."""
    heads = tuple(prefixes)
    return lambda value: isinstance(value, str) and value.startswith(heads)


def ends(suffixes: Sequence[str]) -> Test:
    """A text that ends with one of these."""
    tails = tuple(suffixes)
    return lambda value: isinstance(value, str) and value.endswith(tails)


def same_letters(texts: Sequence[str]) -> Test:
    """A text that is one of these, whatever the case of its letters."""
    folded = frozenset(text.casefold() for text in texts)
    return lambda value: isinstance(value, str) and value.casefold() in folded


def begins_with_letters(prefix: str) -> Test:
    """A text that begins like this, whatever the case of its letters."""
    folded = prefix.casefold()
    return lambda value: isinstance(value, str) and value.casefold().startswith(folded)


def ends_with_letters(suffix: str) -> Test:
    """A text that ends like this, whatever the case of its letters."""
    folded = suffix.casefold()
    return lambda value: isinstance(value, str) and value.casefold().endswith(folded)


def like(pieces: Sequence[str]) -> Test:
    """A text of these pieces in this order, with anything between them. Its time is linear in the text's."""
    first, middle, last = pieces[0], tuple(piece for piece in pieces[1:-1] if piece), pieces[-1]
    least = sum(map(len, pieces))

    def test(value: Any) -> bool:
        if not isinstance(value, str) or len(value) < least:
            return False
        if not (value.startswith(first) and value.endswith(last)):
            return False
        at, end = len(first), len(value) - len(last)
        for piece in middle:
            at = value.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    if len(pieces) == 1:
        return lambda value: isinstance(value, str) and value == first
    return test


def any_of(tests: Sequence[Test]) -> Test:
    """One of several."""
    first, rest = tests[0], tests[1:]
    if not rest:
        return first
    if len(rest) == 1:
        (second,) = rest
        return lambda value: first(value) or second(value)

    def one_fits(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 - any() over a generator costs three times as much
            if test(value):
                return True
        return False

    return one_fits


def none_of(test: Test) -> Test:
    """Any value that does not fit ``test``."""
    return lambda value: not test(value)


def between(bounds: Sequence[tuple[str, float]]) -> Test:
    """A number for which all comparisons hold. True and false are no numbers."""
    compare, bound = NUMERIC[bounds[0][0]], bounds[0][1]

    def one(value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and compare(value, bound)

    if len(bounds) == 1:
        return one
    second, limit = NUMERIC[bounds[1][0]], bounds[1][1]
    return lambda value: one(value) and second(value, limit)


def in_network(network: Network) -> Test:
    """A text that is an address of the network."""
    version, first, mask = network.version, int(network.network_address), int(network.netmask)

    def test(value: Any) -> bool:
        if not isinstance(value, str) or (address := _address(value)) is None:
            return False
        return address[0] == version and address[1] & mask == first

    return test


@lru_cache(maxsize=_ADDRESSES_KEPT)
def _address(text: str) -> tuple[int, int] | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.version, int(address)
