"""``parsl-diaspora runs``: all runs, the newest last."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

from rich.console import Console

from parsl_diaspora.cli.find import SHORT, Found, add_where, all_runs, open_logs
from parsl_diaspora.cli.output import console, table, write_json
from parsl_diaspora.cli.summary import RunSummary, summarize
from parsl_diaspora.cli.words import duration, short_moment
from parsl_diaspora.state import Picture
from parsl_diaspora.state.reading import Reading


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "-n", type=int, default=0, metavar="N", dest="newest", help="only the N newest runs (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """List the runs."""
    found = all_runs(open_logs(args))
    summaries = summaries_of(found[-args.newest :] if args.newest > 0 else found)
    if args.json:
        write_json(summaries)
    else:
        render(summaries, console())
    return 0


def summaries_of(found: Sequence[Found]) -> list[RunSummary]:
    """Read each log once and sum up the runs that are wanted, in their order."""
    pictures = {(each.fabric.url, each.run): Picture(each.run) for each in found}
    for fabric in {each.fabric.url: each.fabric for each in found}.values():
        for event in Reading(fabric):
            if (picture := pictures.get((fabric.url, event.run))) is not None:
                picture.fold(event)
    return [summarize(picture, url) for (url, _), picture in pictures.items()]


def render(summaries: Sequence[RunSummary], out: Console) -> None:
    """The runs as a table; a narrow terminal gets fewer columns."""
    wide = out.width >= _ROOM
    names = [name for name in _COLUMNS if wide or name not in _IF_WIDE]
    rows = [[_COLUMNS[name](run) for name in names] for run in summaries]
    out.print(table(names, rows, numbers=_NUMBERS, wrapped=("program", "executors"), indent=0, gap=1))


_ROOM = 100
_IF_WIDE = ("decided", "executors")
_NUMBERS = ("done", "failed", "open", "tries", "failed\ntries", "decided")
_COLUMNS: dict[str, Callable[[RunSummary], object]] = {
    "run": lambda run: run.run[:SHORT],
    "program": lambda run: run.program,
    "started": lambda run: short_moment(run.started, time.time()),
    "took": lambda run: duration(run.seconds),
    "state": lambda run: run.state,
    "done": lambda run: run.done,
    "failed": lambda run: run.failed,
    "open": lambda run: run.outstanding,
    "tries": lambda run: run.tries,
    "failed\ntries": lambda run: run.failed_tries,
    "decided": lambda run: run.decisions,
    "executors": lambda run: ", ".join(run.executors),
}
