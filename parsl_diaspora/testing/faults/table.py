"""Outcomes as rows, stock beside ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from parsl_diaspora.testing.faults.outcomes import Outcome
from parsl_diaspora.testing.faults.scenarios import SCENARIOS

HEAD = ("fault", "", "noticed", "begun again", "all ended", "what the program saw", "may be expected")

Outcomes = Mapping[tuple[str, str], Outcome]


def rows(outcomes: Outcomes, names: Iterable[str]) -> list[tuple[str, ...]]:
    """A line for each scenario and kind that was played, in this order: stock, then ours."""
    return [
        row(outcomes[name, kind], first=number == 0)
        for name in names
        for number, kind in enumerate(kind for kind in ("stock", "ours") if (name, kind) in outcomes)
    ]


def row(found: Outcome, *, first: bool) -> tuple[str, ...]:
    """One line; the fault and what may be expected are said on the first of a scenario only."""
    scenario = SCENARIOS[found.scenario]
    head, target = (scenario.title, scenario.target) if first else ("", "")
    if scenario.play is None:
        return head, found.kind, "-", "-", found.when(found.gone), _remains(found), target
    noticed = f"{found.noticed:.1f} s, {found.failure}" if found.noticed is not None else _unnoticed(found)
    again = "-" if found.relaunched is None else f"{found.relaunched:.1f} s"
    return head, found.kind, noticed, again, found.when(found.ended), found.story, target


def _unnoticed(found: Outcome) -> str:
    """No failed try is no fault where all went well."""
    return "-" if found.ended is not None and found.done == found.total else found.when(None)


def _remains(found: Outcome) -> str:
    return "processes stay" if found.gone is None else "nothing is left"
