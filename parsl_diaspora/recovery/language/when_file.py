"""The ``when`` of a rule, from YAML."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from parsl_diaspora.failures import CLASSES, current_name
from parsl_diaspora.failures.patterns import exit_codes_of, read_pattern
from parsl_diaspora.hints import nearest
from parsl_diaspora.lined_yaml import Place
from parsl_diaspora.recovery.language.conditions import CONDITIONS
from parsl_diaspora.recovery.language.expressions import Expression, ExpressionError
from parsl_diaspora.recovery.language.matching import NOT, attempts_of, classes_of
from parsl_diaspora.recovery.language.rules import Count, CountBy, When
from parsl_diaspora.recovery.situation import EVIDENCE
from parsl_diaspora.state.records import RECENT

LAYERS = ("application", "framework", "runtime", "environment")
_KEYS = ("class", "layer", "exception", "exit_code", "log", "func", "attempt", "count", "is", "if")
_COUNT_KEYS = ("by", "at_least", "within")
_NAME = re.compile(r"[A-Za-z_][\w.<>]*")


def read_when(value: Any, place: Place) -> When:
    """What a rule is for.

    Raises:
        SettingsError: something in it is wrong, or it can never hold.
    """
    place.known_keys(value, _KEYS, "'when'")
    fields = {
        _READERS[key][0]: _READERS[key][1](wanted, place.at(value, key)) for key, wanted in value.items()
    }
    when = When(**fields)
    if not classes_of(when):
        raise place.error(
            f"No class of {', '.join(when.classes)} belongs to the layer {', '.join(when.layers)}: this can "
            "never hold.",
            "Leave 'layer' out.",
        )
    return when


def _texts(value: Any, place: Place) -> tuple[str, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or any(isinstance(each, dict | list) or each in (None, "") for each in values):
        raise place.error("Here must be a name, or a list of names.", "As 'class: [memory, disk_full]'.")
    return tuple(map(str, values))


def _classes(value: Any, place: Place) -> tuple[str, ...]:
    names = tuple(current_name(name) for name in _texts(value, place))
    for name in names:
        if name not in CLASSES:
            raise place.error(f"{name!r} is no class of failures.", nearest(name, CLASSES))
    return names


def _layers(value: Any, place: Place) -> tuple[str, ...]:
    names = _texts(value, place)
    for name in names:
        if name not in LAYERS:
            raise place.error(f"{name!r} is no layer.", nearest(name, LAYERS))
    return names


def _exceptions(value: Any, place: Place) -> tuple[str, ...]:
    names = _texts(value, place)
    for name in names:
        if not _NAME.fullmatch(name):
            raise place.error(
                f"{name!r} is no name of an exception.", "As 'KeyError' or 'numpy.linalg.LinAlgError'."
            )
    return names


def _checked(
    check: Callable[[str], tuple[float, float]], hint: str
) -> Callable[[Any, Place], tuple[str, ...]]:
    def read(value: Any, place: Place) -> tuple[str, ...]:
        texts = _texts(value, place)
        for text in texts:
            try:
                low, high = check(text)
            except ValueError as error:
                raise place.error(f"{error}.", hint) from None
            if low > high:
                raise place.error(f"{text!r} is empty: {low:g} is more than {high:g}.", hint)
        return texts

    return read


_exit_codes = _checked(exit_codes_of, "Write a number, or a range as '1-99'.")
_attempts = _checked(attempts_of, "Write a number, a range as '2-4', or a comparison as '> 2'.")


def _attempt(value: Any, place: Place) -> str:
    texts = _attempts(value, place)
    if len(texts) > 1:
        raise place.error("'attempt' is one number, range or comparison.", "As '2-4' or '> 1'.")
    if attempts_of(texts[0])[1] < 1:
        raise place.error(f"No attempt is {texts[0]}: the first one is 1.", "As '2-4' or '> 1'.")
    return texts[0]


def _pattern(value: Any, place: Place) -> str:
    read_pattern(str(value), place)
    return str(value)


def _count(value: Any, place: Place) -> Count:
    place.known_keys(value, _COUNT_KEYS, "'count'")
    by, at_least, within = value.get("by"), value.get("at_least"), value.get("within", 60)
    if by not in get_args(CountBy):
        raise place.error(f"'by' of a count is no {by!r}.", nearest(str(by), get_args(CountBy)))
    if not _is_number(at_least) or not 1 <= at_least <= RECENT:
        hint = "So many of the newest failures of a place are kept."
        raise place.error(
            f"'at_least' of a count must be a number from 1 to {RECENT}, not {at_least!r}.", hint
        )
    if not _is_number(within) or not 0 < within < float("inf"):
        raise place.error(f"'within' of a count must be seconds, not {within!r}.", "As 'within: 600'.")
    return Count(by=by, at_least=int(at_least), within=float(within))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _conditions(value: Any, place: Place) -> tuple[str, ...]:
    names = tuple(" ".join(name.split()) for name in _texts(value, place))
    for name in names:
        bare = name.removeprefix(NOT)
        if bare not in CONDITIONS:
            raise place.error(f"{bare!r} is no condition.", nearest(bare, CONDITIONS))
        if NOT + name in names:
            raise place.error(
                f"{name!r} and '{NOT}{name}' can never hold together.", "Leave one of them out."
            )
    return names


def _expression(value: Any, place: Place) -> str:
    try:
        Expression(str(value), list(EVIDENCE))
    except ExpressionError as error:
        name = str(error).partition("there is no '")[2].rstrip("'")
        hint = (
            nearest(name, EVIDENCE)
            if name and "function" not in str(error)
            else "docs/policy.md tells what can."
        )
        raise place.error(f"The expression {str(value)!r} cannot be used: {error}.", hint) from error
    return str(value)


_READERS: dict[str, tuple[str, Callable[[Any, Place], Any]]] = {
    "class": ("classes", _classes),
    "layer": ("layers", _layers),
    "exception": ("exceptions", _exceptions),
    "exit_code": ("exit_codes", _exit_codes),
    "log": ("log", _pattern),
    "func": ("funcs", _texts),
    "attempt": ("attempt", _attempt),
    "count": ("count", _count),
    "is": ("conditions", _conditions),
    "if": ("expression", _expression),
}
