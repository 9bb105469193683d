"""A frame as plain text."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.output import heading, table
from parsl_diaspora.cli.top.frame import Frame
from parsl_diaspora.cli.top.tables import TableView, headline, resources, sparkline, tables_of

MOST = 20


def render(frame: Frame, out: Console) -> None:
    """Print the frame: what has no rows is left out, and long tables are cut."""
    for line in (*headline(frame), resources(frame)):
        out.print(Text(line), soft_wrap=True)
    if any(frame.history):
        out.print(Text(f"tasks ended in each of the last 60 s  {sparkline(frame.history)}"))
    for view in tables_of(frame):
        if view.rows:
            _print(view, out)


def _print(view: TableView, out: Console) -> None:
    heading(out, view.name.capitalize())
    out.print(
        table(view.columns, view.rows[:MOST], numbers=view.numbers, wrapped=(*view.wide, "place", "manager"))
    )
    if len(view.rows) > MOST:
        out.print(Text(f"  and {len(view.rows) - MOST} more; --json has all", style="dim"))
