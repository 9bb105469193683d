"""Which view of a run is wanted: live, one frame as text, or one as JSON."""

from __future__ import annotations

import argparse
import sys

from parsl_diaspora.cli.find import LAST, add_where, find_run, open_logs
from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.cli.top.follow import Follower
from parsl_diaspora.errors import DiasporaError, SettingsError

LEAST, MOST = 0.1, 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    parser.add_argument(
        "--once", action="store_true", help="print one look as text; so it does where there is no terminal"
    )
    parser.add_argument("--json", action="store_true", help="print one look as JSON")
    parser.add_argument(
        "--every",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="between two looks (default: %(default)g)",
    )
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Show a run."""
    if not LEAST <= args.every <= MOST:
        message = f"--every takes {LEAST:g} to {MOST:g} seconds, not {args.every:g}."
        raise SettingsError(message, hint="Try --every 2.")
    is_live = not (args.once or args.json) and sys.stdout.isatty() and sys.stdin.isatty()
    if is_live:
        check_textual()
    follower = Follower(find_run(open_logs(args), args.run_id))
    try:
        if is_live:
            return _show(follower, args.every)
        follower.read_all()
        if args.json:
            write_json(follower.frame())
        else:
            _print(follower)
    finally:
        follower.close()
    return 0


def check_textual() -> None:
    """Find out whether the live view can be had.

    Raises:
        DiasporaError: its library is not installed.
    """
    try:
        import textual  # noqa: F401
    except ImportError as error:
        hint = "Install it with pip install 'parsl-diaspora[top]', or use --once for one look as text."
        raise DiasporaError("The live view needs the library textual.", hint=hint) from error


def _show(follower: Follower, every: float) -> int:
    from parsl_diaspora.cli.top.app import Top

    follower.start()
    Top(follower, every).run()
    return 0


def _print(follower: Follower) -> None:
    from parsl_diaspora.cli.top.text import render

    render(follower.frame(), console())
