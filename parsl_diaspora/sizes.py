"""Sizes and spans of time as people write and read them: in URLs, settings, rules and reasons."""

from __future__ import annotations

import math
import re

UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_NUMBER = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)", re.ASCII)
_BYTES = {
    "": 1,
    **{name.lower(): size for name, size in UNITS.items()},
    **{letter: 1000**power for power, letter in enumerate("kmgt", 1)},
}
_SECONDS = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LARGEST = 2**63 - 1  # bytes; what a file system counts with


def parse_bytes(text: str) -> int:
    """A size in bytes; a part of a byte is dropped.

    Args:
        text: a number, whole or with a fraction, and optionally ``k``, ``M``, ``G`` or ``T`` (powers of
            1000) or ``Ki``, ``Mi``, ``Gi`` or ``Ti`` with ``B`` (powers of 1024). ``B`` and the case of
            letters make no other difference.

    Raises:
        ValueError: it is no size.

    Example:
        >>> parse_bytes("200MB"), parse_bytes("1.5 GiB"), parse_bytes("4096")
        (200000000, 1610612736, 4096)
    """
    number, unit = _parts(text)
    if number is None or unit.lower() not in _BYTES:
        raise ValueError(f"{text!r} is no size. Write it as in '200MB', '1.5GiB' or '4096' (bytes).")
    whole, _, fraction = number.partition(".")
    scale: int = 10 ** len(fraction)
    size: int = int(whole + fraction) * _BYTES[unit.lower()] // scale
    if size > _LARGEST:
        raise ValueError(f"{text!r} is more than a file system can hold.")
    return size


def parse_seconds(text: str) -> float:
    """A span of time in seconds.

    Args:
        text: a number, whole or with a fraction, and optionally ``us``, ``ms``, ``s``, ``m`` (minutes),
            ``h``, ``d`` or ``w``; without a unit it means seconds.

    Raises:
        ValueError: it is no span of time.

    Example:
        >>> [parse_seconds(text) for text in ("100ms", "30s", "15m", "24h", "7d", "2.5")]
        [0.1, 30.0, 900.0, 86400.0, 604800.0, 2.5]
    """
    number, unit = _parts(text)
    seconds = float(number) * _SECONDS.get(unit.lower(), math.inf) if number is not None else math.inf
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is no span of time. Write it as in '100ms', '30s', '15m', '24h' or '7d'.")
    return seconds


def size_words(size: float) -> str:
    """A size for people, to three figures.

    Example:
        >>> size_words(4_000_000_000), size_words(512), size_words(999_960)
        ('4 GB', '512 B', '1 MB')
    """
    for letter in "TGMk":
        number = float(f"{size / UNITS[f'{letter.upper()}B']:.3g}")
        if number >= 1:
            return f"{number:g} {letter}B"
    return f"{size:.0f} B"


def _parts(text: str) -> tuple[str | None, str]:
    """The number, and the unit behind it."""
    match = _NUMBER.fullmatch(text.strip())
    return (match[1], match[2]) if match is not None else (None, "")
