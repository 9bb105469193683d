"""Rules that tell why a try failed, from YAML: read, checked, and made fast."""

from __future__ import annotations

import errno as errnos
import operator
import signal as signals
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from parsl_diaspora.events import Failure
from parsl_diaspora.failures.context import Context
from parsl_diaspora.failures.literals import needed_literals
from parsl_diaspora.failures.matching import Case, FailureRule, FailureRules, Test
from parsl_diaspora.failures.patterns import exit_code_test, read_pattern
from parsl_diaspora.failures.taxonomy import CLASSES, current_name
from parsl_diaspora.hints import nearest
from parsl_diaspora.lined_yaml import Place, parse_lined, read_lined

BUILT_IN = Path(__file__).with_name("rules.yaml")
PHASES = ("launch", "unpack", "run", "pack", "lost")
ANY = "any"

_KEYS = ("name", "class", "confidence", "when", "because", "missing")
CONDITIONS = (
    "exception",
    "phase",
    "errno",
    "exit_code",
    "signal",
    "out_of_memory",
    "declared",
    "text",
    "message",
    "stderr",
    "facts",
)
_FACTS = (*Context.__struct_fields__, "memory_part")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@cache
def built_in() -> FailureRules:
    """The rules that come with this package.

    Example:
        >>> found = built_in().find(Failure(chain=("builtins.MemoryError",)), Context())
        >>> found.rule, found.failure_class
        ('memory-error', 'memory')
    """
    return parse_rules(parse_lined(BUILT_IN.read_text(encoding="utf-8"), BUILT_IN.name), BUILT_IN.name)


def load_rules(path: str | Path) -> FailureRules:
    """Rules from a file.

    Raises:
        SettingsError: it cannot be read, or something in it is wrong; says in which line, and what to do.
    """
    return parse_rules(read_lined(Path(path)), str(path))


def parse_rules(values: Any, source: str) -> FailureRules:
    """Rules from a YAML document.

    Raises:
        SettingsError: something in it is wrong.
    """
    place = Place(source)
    if not isinstance(values, list):
        raise place.error("Rules of failures must be a list.", "Each begins with '- name:'.")
    rules = [_rule(value, place.at(value)) for value in values]
    names = [rule.name for rule in rules]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise place.at(values[number], "name").error(
                f"There are two rules called {name!r}.", "Rename one."
            )
    return FailureRules(rules)


def _rule(value: Any, place: Place) -> FailureRule:
    place.known_keys(value, _KEYS, "A rule")
    for key in ("name", "class", "because", "when"):
        if not value.get(key):
            raise place.error(f"A rule must have {key!r}.", "docs/failures.md has an example.")
    failure_class = current_name(str(value["class"]))
    if failure_class not in CLASSES:
        hint = nearest(failure_class, CLASSES)
        raise place.at(value, "class").error(f"{failure_class!r} is no class of failures.", hint)
    confidence = value.get("confidence", 0.9)
    if not isinstance(confidence, int | float) or not 0 < confidence <= 1:
        raise place.at(value, "confidence").error(
            "'confidence' must be a number over 0 and up to 1.", "As 0.9."
        )
    when, here = value["when"], place.at(value["when"])
    here.known_keys(when, CONDITIONS, "'when'")
    _check_words(str(value["because"]), place.at(value, "because"))
    return FailureRule(
        name=str(value["name"]),
        failure_class=failure_class,
        confidence=float(confidence),
        because=str(value["because"]),
        missing=str(value.get("missing", "")),
        exceptions=tuple(map(str, _many(when.get("exception", ())))),
        tests=tuple(_test(key, wanted, here.at(when, key)) for key, wanted in _cheap_first(when)),
    )


def _cheap_first(when: dict[str, Any]) -> list[tuple[str, Any]]:
    given = [(key, wanted) for key, wanted in when.items() if key != "exception"]
    return sorted(given, key=lambda pair: CONDITIONS.index(pair[0]) if pair[0] != "facts" else -1)


def _many(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _test(key: str, wanted: Any, place: Place) -> Test:
    return _MAKERS[key](wanted, place)


def _phase(wanted: Any, place: Place) -> Test:
    phases = frozenset(map(str, _many(wanted)))
    for name in phases.difference(PHASES):
        raise place.error(f"{name!r} is no phase of a try.", nearest(name, PHASES))
    return lambda case: case.failure.phase in phases


def _errno(wanted: Any, place: Place) -> Test:
    numbers: dict[int, str] = {}
    for name in map(str, _many(wanted)):
        if not isinstance(number := getattr(errnos, name, None), int):
            raise place.error(f"{name!r} is no error number of the operating system.", nearest(name, _ERRNOS))
        numbers[number] = name
    return lambda case: numbers.get(case.failure.errno or 0, False)


_ERRNOS = tuple(errnos.errorcode.values())


def _exit_code(wanted: Any, place: Place) -> Test:
    try:
        fits = exit_code_test(map(str, _many(wanted)))
    except ValueError as error:
        raise place.error(f"{error}.", "Write a number, or a range as '1-99'.") from None
    return lambda case: fits(case.failure.exit_code)


def _signal(wanted: Any, place: Place) -> Test:
    names = frozenset(map(str, _many(wanted)))
    known = [each.name for each in signals.Signals]
    for name in names.difference(known, (ANY, "")):
        raise place.error(f"{name!r} is no signal.", nearest(name, known))
    if ANY in names:
        return lambda case: bool(case.signal)
    return lambda case: case.signal in names


def _out_of_memory(wanted: Any, place: Place) -> Test:
    return lambda case: case.failure.out_of_memory is bool(wanted)


def _declared(wanted: Any, place: Place) -> Test:
    names = frozenset(map(str, _many(wanted)))
    return lambda case: case.failure.declared in names


def _pattern(read: Callable[[Failure], str]) -> Callable[[Any, Place], Test]:
    def make(wanted: Any, place: Place) -> Test:
        search = read_pattern(str(wanted), place).search
        literals = needed_literals(str(wanted))

        def holds(case: Case) -> str | bool:
            if literals and not _has_one(case.lowered, literals):
                return False
            text = read(case.failure)
            return bool(text) and (found := search(text)) is not None and (found[0] or True)

        return holds

    return make


def _has_one(text: str, literals: tuple[str, ...]) -> bool:
    for literal in literals:  # noqa: SIM110 - any() takes twice as long, and this is done in Parsl's own threads
        if literal in text:
            return True
    return False


def _facts(wanted: Any, place: Place) -> Test:
    place.known_keys(wanted, _FACTS, "'facts'")
    tests = [(name, _comparison(value, place.at(wanted, name))) for name, value in wanted.items()]
    return lambda case: all(holds(case.fact(name)) for name, holds in tests)


def _comparison(value: Any, place: Place) -> Callable[[Any], bool]:
    if isinstance(value, bool):
        return lambda fact: bool(fact) is value
    if not isinstance(value, str):
        return lambda fact: fact == value
    for sign, compare in _COMPARISONS.items():
        if value.startswith(sign):
            try:
                bound = float(value[len(sign) :])
            except ValueError:
                raise place.error(f"{value!r} is no comparison.", "Write it as '> 0.9'.") from None
            return lambda fact: fact is not None and fact != "" and compare(fact, bound)
    return lambda fact: fact == value


def _text(failure: Failure) -> str:
    return f"{failure.message}\n{failure.stderr}" if failure.stderr else failure.message


_MAKERS: dict[str, Callable[[Any, Place], Test]] = {
    "phase": _phase,
    "errno": _errno,
    "exit_code": _exit_code,
    "signal": _signal,
    "out_of_memory": _out_of_memory,
    "declared": _declared,
    "text": _pattern(_text),
    "message": _pattern(lambda failure: failure.message),
    "stderr": _pattern(lambda failure: failure.stderr),
    "facts": _facts,
}


def _check_words(because: str, place: Place) -> None:
    names = {"type", "name", "file", "exit_code", "signal", "errno", "found", *_FACTS}
    try:
        fields = {name for _, name, _, _ in _FORMATTER.parse(because) if name is not None}
    except ValueError as error:
        raise place.error(
            f"'because' cannot be filled in: {error}.", "Write {{ and }} for braces."
        ) from error
    for name in fields - names:
        raise place.error(f"'because' speaks of {{{name}}}, which there is not.", nearest(name, names))


_FORMATTER = string.Formatter()
