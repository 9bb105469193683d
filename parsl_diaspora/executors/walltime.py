"""Walltimes as Parsl's providers take them."""

from __future__ import annotations

from typing import Any


def walltime_seconds(walltime: Any) -> float | None:
    """Seconds of a walltime as Parsl's providers take it.

    Example:
        >>> walltime_seconds("01:30:00"), walltime_seconds("2-00:00:00"), walltime_seconds(None)
        (5400.0, 172800.0, None)
    """
    if not isinstance(walltime, str) or not walltime:
        return None
    days, dash, rest = walltime.partition("-") if "-" in walltime else ("0", "", walltime)
    try:
        parts = [float(part) for part in rest.split(":")]
        seconds = 0.0
        for part in parts:
            seconds = 60.0 * seconds + part
        if len(parts) == 2 and not dash:  # noqa: PLR2004 - as HH:MM, which PBS and LSF take
            seconds *= 60.0
        return seconds + 86_400.0 * float(days)
    except ValueError:
        return None
