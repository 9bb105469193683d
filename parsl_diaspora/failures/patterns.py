"""What people write into rules, of failures and of policies: patterns of texts, and ranges of exit codes.

Parsl's own threads search for the patterns, so none may take for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from parsl_diaspora.lined_yaml import Place

_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
MANY = 64  # more repeats than this are as good as any number


def read_pattern(text: str, place: Place) -> re.Pattern[str]:
    """A regular expression.

    Raises:
        SettingsError: it is none, or a repeat within a repeat may make it take for ever.

    Example:
        >>> bool(read_pattern("out of memory|oom", Place("here")).search("an oom kill"))
        True
    """
    try:
        pattern = re.compile(text)
        parsed = _parser().parse(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise place.error(f"{text!r} is no pattern: {error}.", "It is a regular expression.") from error
    if _nests(parsed, inside=False):
        hint = "Leave one repeat out: 'a+b' for '(a+)+b'."
        raise place.error(f"The pattern {text!r} may take for ever: a repeat stands in a repeat.", hint)
    return pattern


def exit_codes_of(text: str) -> tuple[int, int]:
    """The lowest and the highest exit code that are meant.

    Raises:
        ValueError: it is neither a number nor a range.

    Example:
        >>> exit_codes_of("1-99"), exit_codes_of("-9")
        ((1, 99), (-9, -9))
    """
    found = re.fullmatch(r"\s*(-?\d+)(?:\s*-\s*(\d+))?\s*", text)
    if found is None:
        raise ValueError(f"{text!r} is no exit code")
    return int(found[1]), int(found[2] or found[1])


def exit_code_test(texts: Iterable[str]) -> Callable[[int | None], bool]:
    """Whether an exit code is one of those that are meant.

    Raises:
        ValueError: a text is neither a number nor a range.

    Example:
        >>> fits = exit_code_test(["137", "1-3"])
        >>> fits(2), fits(4), fits(None)
        (True, False, False)
    """
    ranges = [exit_codes_of(text) for text in texts]
    return lambda code: code is not None and any(low <= code <= high for low, high in ranges)


def _parser() -> Any:
    try:
        from re import _parser  # type: ignore[attr-defined]  # since Python 3.11
    except ImportError:
        import sre_parse as _parser  # type: ignore[import-not-found,no-redef,unused-ignore]
    return _parser


def _nests(part: Any, *, inside: bool) -> bool:
    """Whether an unbounded repeat stands in another one, anywhere in a parsed pattern."""
    part = getattr(part, "data", part)
    if isinstance(part, tuple) and len(part) == 2 and str(part[0]) in _REPEATS:  # noqa: PLR2004 - a name and its value
        _, most, repeated = part[1]
        unbounded = most > MANY
        return (unbounded and inside) or _nests(repeated, inside=inside or unbounded)
    return isinstance(part, list | tuple) and any(_nests(each, inside=inside) for each in part)
