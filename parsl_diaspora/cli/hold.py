"""``parsl-diaspora hold``, ``drain``, ``undrain``, ``release``: keep work of a running program from a place.

``hold`` and ``release`` are for tasks, too: see `parsl_diaspora.cli.held_orders`.
"""

from __future__ import annotations

import argparse
import sys

from parsl_diaspora.cli import held_orders
from parsl_diaspora.cli.find import LAST, Found, add_where, find_run, open_logs
from parsl_diaspora.cli.signing import add_key, key_of, signed, user
from parsl_diaspora.cli.summary import check_running
from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import Event, PlaceHeld, PlaceReleased
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.monitoring.holds import check_place
from parsl_diaspora.state import Picture
from parsl_diaspora.state.reading import Reading

PLACES_ONLY = (" drain", " undrain")
RELEASES = ("release", "undrain")
TIMEOUT = 10.0  # seconds in which the fabric must have taken the word


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The commands' options."""
    parser.add_argument("run_id", metavar="RUN", nargs="?", default=LAST, help="which run (default: last)")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--node", metavar="NAME", help="a node, by its host name")
    place.add_argument("--block", metavar="BLOCK", help="a block, by its id")
    place.add_argument("--manager", metavar="MANAGER", help="a manager, by its id")
    if not parser.prog.endswith(PLACES_ONLY):
        held_orders.add_tasks(place)
    parser.add_argument(
        "--executor",
        metavar="LABEL",
        help="only there (needed for blocks of several); for a task that is released: where it goes",
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the log")
    parser.add_argument("--owner", metavar="NAME", default=user(), help="who asks (default: you)")
    add_key(parser)
    held_orders.add_wait(parser)
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Say it on the run's fabric, where the program hears it."""
    if held_orders.names_tasks(args):
        return held_orders.run(args)
    found = find_run(open_logs(args), args.run_id)
    picture = picture_of(found)
    if picture.ended is not None:
        check_running(picture, found.fabric.url, f"{args.command} is for places of a running program")
    event = _event(args)
    check_place(event, picture.started.executors if picture.started is not None else ())
    if (note := _unknown(event, picture)) and args.command not in RELEASES:
        sys.stderr.write(f"{note}\n")
    say(found, signed(event, key_of(args, found, picture.started), found.run))
    return 0


def picture_of(found: Found) -> Picture:
    """Fold a run's log."""
    picture = Picture(found.run)
    for event in Reading(found.fabric):
        picture.fold(event)
    return picture


def say(found: Found, event: Event) -> None:
    """Publish an event of a run that another process conducts.

    Raises:
        FabricUnavailable: the fabric did not take it in time.
    """
    publisher = found.fabric.publisher(default_source("cli"), immediate=True)
    publisher.publish(event)
    report = publisher.close(TIMEOUT)
    if not report.safe:
        message = f"The fabric {found.fabric.url} has not taken it within {TIMEOUT:g} s."
        raise FabricUnavailable(message, url=found.fabric.url, hint="Try again when it can be written.")


def _event(args: argparse.Namespace) -> Event:
    place = {name: getattr(args, name) for name in ("node", "block", "manager", "executor")}
    if args.command in RELEASES:
        return PlaceReleased(reason=args.reason, owner=args.owner, **place)
    return PlaceHeld(reason=args.reason, owner=args.owner, drain=args.command == "drain", **place)


def _unknown(event: Event, picture: Picture) -> str:
    """A word about a place that nobody has heard of: it may come yet, or be mistyped."""
    if event.node and event.node not in picture.nodes:
        known = ", ".join(sorted(picture.nodes)) or "none so far"
        return f"Nothing has run on node {event.node!r} yet; it holds if it comes. Nodes: {known}."
    if event.block and not picture.surroundings.block(event.executor, event.block).state:
        return f"No block {event.block!r} was seen at {event.executor} yet; it holds if it comes."
    if event.manager and event.manager not in picture.managers:
        return f"No manager {event.manager!r} was seen yet; it holds if it comes."
    return ""
