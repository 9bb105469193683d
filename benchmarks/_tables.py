"""How benchmarks print: the machine, and columns as wide as they need to be."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence

Row = Sequence[str]


def machine() -> str:
    """Cores, their load now, system and interpreter."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{os.cpu_count()} cores (load {load}), {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)]


def print_table(head: Row, rows: Sequence[Row]) -> None:
    """Columns as wide as they need to be."""
    table = [head, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for row in table:
        cells = (_align(column)(cell, widths[column]) for column, cell in enumerate(row))
        print("  ".join(cells).rstrip(), flush=True)


def _align(column: int) -> Callable[[str, int], str]:
    return str.ljust if column == 0 else str.rjust
