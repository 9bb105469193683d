"""``parsl-diaspora held``: which tasks wait until somebody releases them, why, and what may be done."""

from __future__ import annotations

import argparse
import time

import msgspec

from parsl_diaspora.cli.find import LAST, add_where, find_run, open_logs
from parsl_diaspora.cli.hold import picture_of
from parsl_diaspora.cli.output import console, table, write_json
from parsl_diaspora.cli.words import short_moment
from parsl_diaspora.state import HeldTask, Picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """List the tasks."""
    picture = picture_of(find_run(open_logs(args), args.run_id))
    found = sorted(picture.held, key=lambda each: each.since) if picture.ended is None else []
    if args.json:
        write_json([{**msgspec.structs.asdict(each), "func": _func(each, picture)} for each in found])
    elif not found:
        console().print("No task is held.")
    else:
        rows = [_row(each, picture) for each in found]
        console().print(table(_COLUMNS, rows, wrapped=("reason", "suggestion"), indent=0))
    return 0


_COLUMNS = ("task", "app", "class", "executor", "since", "owner", "no.", "reason", "suggestion")


def _row(held: HeldTask, picture: Picture) -> tuple[str, ...]:
    return (
        str(held.task),
        _func(held, picture),
        held.failure_class,
        held.executor,
        short_moment(held.since, time.time()),
        held.owner,
        str(held.number),
        held.reason,
        held.suggestion,
    )


def _func(held: HeldTask, picture: Picture) -> str:
    state = picture.tasks.get(held.task)
    return state.func if state is not None else ""
