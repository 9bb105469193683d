"""Walltimes of blocks: read, mixed, and staggered so that not all blocks end at once."""

from __future__ import annotations

import re
from typing import Any

from parsl_diaspora.errors import PoolError

_FORM = re.compile(r"(\d{1,4}):([0-5]\d):([0-5]\d)")


def seconds_of(walltime: Any, whose: str = "") -> int:
    """Seconds of a walltime as Parsl's batch providers take it.

    Args:
        walltime: ``HH:MM:SS``.
        whose: for the error, as ``member 'debug'``.

    Raises:
        PoolError: it is no such time, or less than a minute.

    Example:
        >>> seconds_of("01:30:00")
        5400
    """
    found = _FORM.fullmatch(walltime) if isinstance(walltime, str) else None
    hours, minutes, seconds = map(int, found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total < 60:  # noqa: PLR2004 - schedulers count in minutes
        of = f" of {whose}" if whose else ""
        message = f"The walltime {walltime!r}{of} is not a time of at least a minute."
        raise PoolError(message, hint="It is written as HH:MM:SS, as in '02:00:00'.")
    return total


def text_of(seconds: float) -> str:
    """A walltime as Parsl's batch providers take it, in whole minutes.

    Example:
        >>> text_of(5430)
        '01:30:00'
    """
    minutes = max(1, int(seconds // 60))
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


class WalltimeMix:
    """Deals out walltimes in turn, each a little shorter than the one before.

    Args:
        walltimes: dealt in turn; empty to leave each member its own.
        stagger: seconds by which each next block ends earlier than its walltime, until half of it is
            reached; then it begins anew.

    Example:
        >>> mix = WalltimeMix(("01:00:00", "04:00:00"), stagger=600.0)
        >>> [mix.deal("00:10:00", number) for number in range(3)]
        ['01:00:00', '03:50:00', '00:40:00']
        >>> WalltimeMix().deal("00:10:00", 0)
        '00:10:00'
    """

    def __init__(self, walltimes: tuple[str, ...] = (), stagger: float = 0.0) -> None:
        self._walltimes = walltimes
        self._stagger = stagger

    def deal(self, own: str | None, number: int) -> str | None:
        """The walltime of a block.

        Args:
            own: the member's own; None if it has none, and then none is dealt.
            number: of the block, from 0.
        """
        if own is None:
            return None
        walltime = self._walltimes[number % len(self._walltimes)] if self._walltimes else own
        if self._stagger < 1:  # schedulers do not count in parts of a second
            return walltime
        total = seconds_of(walltime)
        steps = int(total / 2 // self._stagger) + 1
        return text_of(total - (number % steps) * self._stagger)
