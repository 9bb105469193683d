"""The closing table: seven faults, each under stock Parsl and under ours, at Parsl's default heartbeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rich.table import Table

from parsl_diaspora.testing.faults import LONG_TASK, SIX, Outcome, play_all
from parsl_diaspora.testing.faults.table import HEAD, rows

BOUNDS = {"stock": 30.0, "ours": 60.0}  # seconds; stock is not waited for to its end, which may never come
TOGETHER = 4
FAULTS = (*SIX, LONG_TASK)
TITLE = "Seven faults, stock Parsl beside ours (seconds after the fault, at Parsl's default heartbeats)"

Outcomes = Mapping[tuple[str, str], Outcome]


def play_faults(directory: Path, tell: Callable[[Outcome], None]) -> Outcomes:
    """Play them, those that stock Parsl only waits for beside the others.

    Args:
        directory: for the programs' logs.
        tell: called with each outcome as it comes.

    Raises:
        DiasporaError: a program ended without an outcome.
    """
    jobs = [(name, kind, BOUNDS[kind]) for name in FAULTS for kind in ("stock", "ours")]
    return play_all(jobs, directory, together=TOGETHER, tell=tell)


def closing_table(outcomes: Outcomes) -> Table:
    """Stock beside ours."""
    shown = Table(title=TITLE, title_justify="left", show_lines=False)
    for name in HEAD:
        shown.add_column(name)
    for number, line in enumerate(rows(outcomes, FAULTS)):
        shown.add_row(*line, end_section=number % 2 == 1)
    return shown


def broken_by_faults(outcomes: Outcomes) -> list[str]:
    """What ours owed under the faults and did not deliver, as sentences."""
    return [
        f"Under the fault {name!r} ours did not get through: {found.story}."
        for (name, kind), found in outcomes.items()
        if kind == "ours" and not _got_through(found)
    ]


def _got_through(found: Outcome) -> bool:
    if found.scenario == "program":
        return found.gone is not None
    if found.scenario == "interchange-killed":  # its tasks are done again, or the program is told why not
        return found.ended is not None
    return found.done == found.total
