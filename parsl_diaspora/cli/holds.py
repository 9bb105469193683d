"""``parsl-diaspora holds``: which places get no work, why, and who said so."""

from __future__ import annotations

import argparse
import time

import msgspec

from parsl_diaspora.cli.find import LAST, add_where, find_run, open_logs
from parsl_diaspora.cli.hold import picture_of
from parsl_diaspora.cli.output import console, table, write_json
from parsl_diaspora.cli.words import short_moment
from parsl_diaspora.state import Hold, Picture
from parsl_diaspora.state.quarantined import MANAGER

QUARANTINE = "quarantine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """List the places."""
    found = holds_of(picture_of(find_run(open_logs(args), args.run_id)))
    if args.json:
        write_json([msgspec.structs.asdict(each) for each in found])
    elif not found:
        console().print("Every place gets work.")
    else:
        rows = [_row(each) for each in found]
        out = console()
        out.print(table(_COLUMNS, rows, wrapped=("reason",), indent=0))
    return 0


def holds_of(picture: Picture) -> list[Hold]:
    """All holds of a run, and the places that are in quarantine."""
    quarantined = [
        Hold(
            level=level, name=name, executor=_executor(picture, level, name), reason=reason, owner=QUARANTINE
        )
        for (level, name), reason in picture.quarantined.reasons.items()
    ]
    return [*sorted(picture.holds, key=lambda hold: hold.since), *quarantined]


def _executor(picture: Picture, level: str, name: str) -> str:
    manager = picture.managers.get(name) if level == MANAGER else None
    return manager.executor if manager is not None else ""


_COLUMNS = ("place", "executor", "what", "since", "owner", "reason")


def _row(hold: Hold) -> tuple[str, ...]:
    return (
        f"{hold.level} {hold.name}",
        hold.executor or "all",
        "drain" if hold.drain else "hold",
        short_moment(hold.since, time.time()) if hold.since else "",
        hold.owner,
        hold.reason,
    )
