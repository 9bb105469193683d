"""Amounts of memory as people write them."""

from __future__ import annotations

import re

UNITS = {
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)},
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)?\s*", re.IGNORECASE)
_BY_LETTERS = {name.lower(): size for name, size in UNITS.items()}


def read_size(text: str | int) -> int:
    """Bytes.

    Raises:
        ValueError: it is no amount of memory.

    Example:
        >>> read_size("4 GB"), read_size("1.5GiB"), read_size(1000)
        (4000000000, 1610612736, 1000)
    """
    found = _SIZE.fullmatch(str(text))
    if found is None or isinstance(text, bool):
        raise ValueError(f"{text!r} is no amount of memory")
    return int(float(found[1]) * _BY_LETTERS[(found[2] or "B").lower()])


def size_words(size: float) -> str:
    """An amount for people.

    Example:
        >>> size_words(4_000_000_000), size_words(512)
        ('4 GB', '512 B')
    """
    for letter in "TGMK":
        unit = UNITS[f"{letter}B"]
        if size >= unit:
            return f"{size / unit:.3g} {letter}B"
    return f"{size:.0f} B"
