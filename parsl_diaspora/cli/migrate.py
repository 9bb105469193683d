"""``parsl-diaspora migrate``: move a running task of a program to another executor while it runs."""

from __future__ import annotations

import argparse

from parsl_diaspora.cli.find import add_where
from parsl_diaspora.cli.held_orders import add_wait, ask_program
from parsl_diaspora.cli.signing import add_key, user
from parsl_diaspora.events import TaskActionAsked


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``migrate``."""
    parser.add_argument("run_id", metavar="RUN", help="Parsl's run id, its beginning, or 'last'")
    parser.add_argument("task", metavar="TASK", type=int, help="a running task, by its number in Parsl's log")
    parser.add_argument("--to", metavar="LABEL", required=True, help="the executor that it goes to")
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the log")
    parser.add_argument("--owner", metavar="NAME", default=user(), help="who asks (default: you)")
    add_key(parser)
    add_wait(parser)
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the program, and tell what it answers."""
    event = TaskActionAsked(
        task=args.task, action=args.command, to=args.to, reason=args.reason, owner=args.owner
    )
    return ask_program(args, event)
