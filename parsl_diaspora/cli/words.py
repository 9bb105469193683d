"""Numbers, times and places in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

_THOUSANDTH, _TENTH, _MINUTE, _HOUR, _DAY = 0.001, 0.1, 60, 3600, 86_400
_HALF_A_YEAR = 182 * _DAY
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def duration(seconds: float) -> str:
    """How long, to two figures or so.

    Example:
        >>> [duration(s) for s in (0.012, 3.44, 125, 3900, 183_600)]
        ['12 ms', '3.4 s', '2 min 5 s', '1 h 5 min', '2 d 3 h']
    """
    if seconds < _TENTH - 0.0005:
        return f"{1000 * seconds:.{1 if 0 < seconds < _THOUSANDTH else 0}f} ms"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def offset(seconds: float) -> str:
    """A time relative to another one.

    Example:
        >>> offset(0.25), offset(-0.004)
        ('+0.2 s', '-4 ms')
    """
    return f"{'-' if seconds < 0 else '+'}{duration(abs(seconds))}"


def moment(seconds: float) -> str:
    """Seconds since the epoch as local date and time, with the zone."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def short_moment(seconds: float, now: float) -> str:
    """Seconds since the epoch as local date and time, short: the year only if that is long ago, as in ls."""
    when = datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone()
    return when.strftime("%d %b %H:%M" if abs(now - seconds) < _HALF_A_YEAR else "%d %b %Y")


def clock_time(seconds: float) -> str:
    """Seconds since the epoch as local time of day, to the millisecond."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone().strftime("%H:%M:%S.%f")[:-3]


def count(number: int, one: str, many: str = "") -> str:
    """A number of things.

    Example:
        >>> count(1, "task"), count(2, "try", "tries")
        ('1 task', '2 tries')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def times(number: int) -> str:
    """How often."""
    return "once" if number == 1 else f"{number} times"


def share(part: int, whole: int) -> str:
    """A part as per cent of the whole."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def listed(items: Sequence[object], limit: int) -> str:
    """The first few, and how many more.

    Example:
        >>> listed([1, 2, 3, 4], 2)
        '1, 2 and 2 more'
    """
    text = ", ".join(str(item) for item in items[:limit])
    return f"{text} and {len(items) - limit} more" if len(items) > limit else text


def joined(parts: Iterable[str]) -> str:
    """The parts that say something, as one phrase."""
    return ", ".join(part for part in parts if part)


def plain(text: str) -> str:
    """Text of a task without anything that would steer a terminal.

    Example:
        >>> plain(chr(27) + "[31mred" + chr(7))
        'red'
    """
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in plain(text).splitlines() if line.strip()), "")


def clip(text: str, limit: int) -> str:
    """The text as one line, cut where it gets too long.

    Example:
        >>> clip("one  two three", 10)
        'one two t…'
    """
    line = " ".join(plain(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(plain(text).splitlines()) if line.strip()), "")


def place_words(place: Mapping[str, object]) -> str:
    """Where, from the largest to the smallest.

    Example:
        >>> place_words({"executor": "cpu", "block": "0", "worker": 1})
        'cpu, block 0, worker 1'
    """
    return joined(
        f"{value}" if name == "executor" else f"{name} {value}"
        for name in _PLACE_ORDER
        if (value := place.get(name)) is not None
    )


_PLACE_ORDER = ("site", "executor", "node", "block", "manager", "worker", "pid")
