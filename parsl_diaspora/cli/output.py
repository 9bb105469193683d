"""Standard output: JSON for programs, text for people.

Text of tasks may hold anything, so nothing in it is taken as markup, and what would steer a terminal is
removed (`parsl_diaspora.cli.words.plain`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import IO, Any, cast

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from parsl_diaspora.cli.words import plain

#: Columns when nobody watches, so that what is written to a file is always the same.
WIDTH = 100
LABEL = 10
_FILLING = re.compile(r"[ ]+\n")
GAP = 2


class _Trimmed:
    """A file that gets no spaces at the ends of lines: tables are filled up with them."""

    encoding = "utf-8"

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.encoding = getattr(file, "encoding", None) or "utf-8"

    def write(self, text: str) -> None:
        self._file.write(_FILLING.sub("\n", text))

    def flush(self) -> None:
        self._file.flush()

    def isatty(self) -> bool:
        return False


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command's one place for that."""
        raise BrokenPipeError


def console(file: IO[str] | None = None, width: int | None = None) -> Console:
    """Where text goes: as wide as the terminal, coloured only there.

    Args:
        file: standard output by default.
        width: columns; by default those of the terminal, or `WIDTH` without one.
    """
    target = file or sys.stdout
    if target.isatty():
        return _Console(file=target, width=width, markup=False, emoji=False, highlight=False)
    trimmed = cast("IO[str]", _Trimmed(target))
    return _Console(file=trimmed, width=width or WIDTH, markup=False, emoji=False, highlight=False)


def write_json(value: Any) -> None:
    """One value as indented JSON."""
    write_bytes([msgspec.json.format(msgspec.json.encode(value), indent=2)])


def write_bytes(lines: Iterable[bytes]) -> None:
    """Lines of JSON, which is UTF-8 whatever the locale."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    for line in lines:
        if binary is not None:
            binary.write(line + b"\n")
        else:
            sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


def heading(out: Console, text: str) -> None:
    """The title of a section, with an empty line above."""
    out.print()
    out.print(Text(text, style="bold"))


def pairs(rows: Iterable[tuple[str, object]], indent: int = 2) -> Table:
    """Labels and what they stand for, wrapped beside the label."""
    grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    grid.add_column(width=indent - GAP)
    grid.add_column(style="dim", no_wrap=True, min_width=LABEL)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row("", label, _cell(value))
    return grid


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Collection[str] = (),
    wrapped: Collection[str] = (),
    indent: int = 2,
    gap: int = GAP,
) -> Table:
    """A table without lines, which reads the same in a terminal, a file and a mail.

    Args:
        columns: their titles.
        rows: the cells.
        numbers: titles of the columns that are set flush right.
        wrapped: titles of the columns that give way when it gets narrow.
        indent: columns of space on the left.
        gap: columns of space in between.
    """
    made = Table(
        box=None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="dim",
        show_header=any(title.strip() for title in columns),
    )
    if indent:
        made.add_column(width=indent - gap)
    for title in columns:
        made.add_column(
            title,
            justify="right" if title in numbers else "left",
            overflow="fold",
            min_width=max(map(len, title.split("\n"))),
            no_wrap=title not in wrapped,
        )
    for row in rows:
        made.add_row(*([""] if indent else []), *map(_cell, row))
    return made


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else Text(plain(str(value)))
