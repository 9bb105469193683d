"""A frame as plain text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.output import heading, table
from parsl_diaspora.cli.top.frame import Frame
from parsl_diaspora.cli.top.tables import NONE, TableView, headline, resources, sparkline, tables_of

MOST = 20


def render(frame: Frame, out: Console) -> None:
    """Print the frame: what says nothing is left out, and long tables are cut."""
    for line in (*headline(frame), resources(frame)):
        out.print(Text(line), soft_wrap=True)
    if any(frame.history):
        out.print(Text(f"tasks ended in each of the last 60 s  {sparkline(frame.history)}"))
    for view in tables_of(frame):
        if view.rows:
            _print(view, out)


def _print(view: TableView, out: Console) -> None:
    heading(out, view.name.capitalize())
    told = [number for number, cells in enumerate(zip(*view.rows, strict=True)) if set(cells) - {"", NONE}]
    columns = [view.columns[number] for number in told]
    rows = [[row[number] for number in told] for row in view.rows[:MOST]]
    wrapped = (*view.wide, "place", "manager")
    out.print(table(columns, rows, numbers=view.numbers, wrapped=wrapped, gap=1))
    if len(view.rows) > MOST:
        out.print(Text(f"  and {len(view.rows) - MOST} more; --json has all", style="dim"))
