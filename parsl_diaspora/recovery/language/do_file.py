"""The ``do`` of a rule, from YAML."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args

from parsl_diaspora.hints import nearest
from parsl_diaspora.lined_yaml import Place
from parsl_diaspora.recovery.actions import EXECUTOR, FABRIC, FILE, LONGEST_DELAY, MANAGER, check_memory
from parsl_diaspora.recovery.language.fields import WAIT_NAMES, check_names
from parsl_diaspora.recovery.language.rules import (
    ACTIONS,
    TRIES,
    Action,
    Delay,
    Do,
    Level,
    Resize,
    Rest,
    Wait,
)
from parsl_diaspora.sizes import parse_bytes

#: More tries than this are no policy but a loop.
MOST_TRIES = 1_000
MOST_FACTOR = 100
BACKOFF, AT_ONCE = "backoff", "at once, then backoff"

#: What a rule may ask for beside a further try.
_OF_TRIES = ("to", "resize", "priority", "delay", "wait")
_OF_ALL = ("quarantine",)
_ACTIONS: dict[str, Action] = {each: each for each in ACTIONS}
_KEYS = ("try", "fail", "hold", "substitute", *_OF_TRIES, *_OF_ALL)


def read_do(value: Any, place: Place) -> Do:
    """What is to be done.

    Raises:
        SettingsError: something in it is wrong, or its parts contradict each other.
    """
    if isinstance(value, str):
        return Do(action=_action(value, place))
    place.known_keys(value, _KEYS, "'do'")
    ends = [key for key in ("fail", "hold", "substitute") if key in value]
    if len(ends) + ("try" in value) > 1:
        names = [key for key in ("try", *ends) if key in value]
        raise place.error(f"'do' cannot both {' and '.join(names)}.", "Choose one of them.")
    fields = {
        name: read(value[key], place.at(value, key)) for key, (name, read) in _READERS.items() if key in value
    }
    if not ends:
        return _a_try(value, fields, place)
    if extra := [key for key in _OF_TRIES if key in value]:
        raise place.error(
            f"{extra[0]!r} needs a further try, and {ends[0]!r} gives none.", f"Leave {extra[0]!r} out."
        )
    (end,) = ends
    return Do(action=_ACTIONS[end], **fields, **_ENDS[end](value[end], place.at(value, end)))


def _a_try(value: Any, fields: dict[str, Any], place: Place) -> Do:
    action = _action(value.get("try", "here"), place.at(value, "try"))
    if action not in TRIES:
        raise place.at(value, "try").error(f"{action!r} is no further try.", f"Write 'do: {action}'.")
    if "delay" in fields and "wait" in fields:
        raise place.error("'delay' and 'wait' both say when the next try is.", "Leave one of them out.")
    if "to" in fields and action not in ("other executor", "other site"):
        raise place.at(value, "to").error(
            "'to' names executors to move to.", "It needs 'try: other executor'."
        )
    return Do(action=action, **fields)


def _action(value: Any, place: Place) -> Action:
    if not isinstance(value, str) or value not in _ACTIONS:
        raise place.error(f"{value!r} is nothing that can be done.", nearest(str(value), ACTIONS))
    if value == "substitute":
        raise place.error("'substitute' needs a value.", "As 'do: {substitute: 0}'.")
    return _ACTIONS[value]


# --- ends ---


def _fail(value: Any, place: Place) -> dict[str, Any]:
    if value is not True:
        raise place.error("'fail' takes no value.", "Write 'do: fail', or 'fail: true'.")
    return {}


def _hold(value: Any, place: Place) -> dict[str, Any]:
    if value is True:
        return {}
    place.known_keys(value, ("number", "suggestion"), "'hold'")
    number = value.get("number", 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise place.at(value, "number").error(
            "'number' of a hold must be a whole number.", "As 'number: 100'."
        )
    return {"number": number, "suggestion": str(value.get("suggestion", ""))}


def _substitute(value: Any, place: Place) -> dict[str, Any]:
    return {"value": _plain(value)}


def _plain(value: Any) -> Any:
    """Without the marks of lines: it becomes the result of a task."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


_ENDS: dict[str, Callable[[Any, Place], dict[str, Any]]] = {
    "fail": _fail,
    "hold": _hold,
    "substitute": _substitute,
}


# --- beside a further try ---


def _labels(value: Any, place: Place) -> tuple[str, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(isinstance(each, str) and each for each in values):
        raise place.error("'to' must name executors by their labels.", "As 'to: [gpu]'.")
    return values


def _resize(value: Any, place: Place) -> Resize:
    place.known_keys(value, ("memory", "most"), "'resize'")
    memory, most = str(value.get("memory", "")), str(value.get("most", ""))
    if not memory:
        raise place.error("'resize' must say how much memory.", "As 'memory: x2', 'peak x1.5' or '16 GB'.")
    try:
        check_memory(memory)
        if most:
            parse_bytes(most)
    except ValueError as error:
        raise place.error(str(error), "As 'x2', 'peak x1.5' or '16 GB'.") from None
    return Resize(memory=memory, most=most)


def _priority(value: Any, place: Place) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise place.error(f"'priority' must be a whole number, not {value!r}.", "A lower one goes first.")
    return value


def _delay(value: Any, place: Place) -> Delay:
    if value in (BACKOFF, AT_ONCE):
        return Delay(at_once_if_lost=value == AT_ONCE)
    if _is_number(value):
        return Delay(seconds=_seconds(value, place, "delay"), factor=1.0, jitter=0.0)
    names = ("seconds", "factor", "most", "jitter", "at_once")
    if not isinstance(value, dict):
        raise place.error(
            f"'delay' is no {value!r}.", f"Write seconds, '{BACKOFF}', or its {', '.join(names)}."
        )
    place.known_keys(value, names, "'delay'")
    factor, jitter = value.get("factor", 2.0), value.get("jitter", 0.25)
    if not _is_number(factor) or not 1 <= factor <= MOST_FACTOR:
        raise place.at(value, "factor").error(
            "'factor' must be a number from 1 to 100.", "It makes each delay longer."
        )
    if not _is_number(jitter) or not 0 <= jitter <= 1:
        raise place.at(value, "jitter").error("'jitter' must be a part from 0 to 1.", "As 'jitter: 0.2'.")
    seconds, most = (
        _seconds(value[key], place.at(value, key), key) if key in value else None
        for key in ("seconds", "most")
    )
    at_once = value.get("at_once", False)
    if not isinstance(at_once, bool):
        raise place.at(value, "at_once").error("'at_once' must be true or false.", "Leave it out for false.")
    return Delay(
        seconds=seconds, most=most, factor=float(factor), jitter=float(jitter), at_once_if_lost=at_once
    )


def _wait(value: Any, place: Place) -> Wait:
    place.known_keys(value, ("for", "at_most", "then"), "'wait'")
    condition = str(value.get("for", ""))
    kinds = (FILE, EXECUTOR, MANAGER)
    if condition != FABRIC and not any(condition.startswith(kind) and condition != kind for kind in kinds):
        hint = f"As '{FILE}/path', '{EXECUTOR}LABEL', '{MANAGER}ID' or '{FABRIC}'."
        raise place.at(value, "for").error(f"{condition!r} is nothing that can be waited for.", hint)
    check_names(condition, WAIT_NAMES, place.at(value, "for"), "for")
    if "at_most" not in value:
        raise place.error("A wait must say for how long: it could be for ever.", "As 'at_most: 600'.")
    then = value.get("then", "retry")
    if then not in ("retry", "hold", "fail"):
        raise place.at(value, "then").error(
            "'then' of a wait must be 'retry', 'hold' or 'fail'.", "As 'then: hold'."
        )
    at_most = _seconds(value["at_most"], place.at(value, "at_most"), "at_most")
    return Wait(condition=condition, at_most=at_most, then=then)


def _rest(value: Any, place: Place) -> Rest:
    if isinstance(value, str):
        value = {value: None}
    place.known_keys(value, get_args(Level), "'quarantine'")
    if len(value) != 1:
        raise place.error("'quarantine' is for one place.", "As 'quarantine: {node: 300}'.")
    ((level, seconds),) = value.items()
    return Rest(level=level, seconds=None if seconds is None else _seconds(seconds, place, "quarantine"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(value: Any, place: Place, what: str) -> float:
    if not _is_number(value) or not 0 <= value <= LONGEST_DELAY or math.isnan(value):
        raise place.error(
            f"{what!r} must be seconds from 0 to {LONGEST_DELAY:.0f}, not {value!r}.", "As 'delay: 30'."
        )
    return float(value)


_READERS: dict[str, tuple[str, Callable[[Any, Place], Any]]] = {
    "to": ("to", _labels),
    "resize": ("resize", _resize),
    "priority": ("priority", _priority),
    "delay": ("delay", _delay),
    "wait": ("wait", _wait),
    "quarantine": ("rest", _rest),
}
