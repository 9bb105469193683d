"""``parsl-diaspora bridge``: carry events from one fabric to another, until it is told to end."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.cli.output import write_bytes
from parsl_diaspora.errors import DiasporaError, FabricError
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.fabric.bridge import Bridge, Filter, Reduction
from parsl_diaspora.fabric.spool.late import LateFabric
from parsl_diaspora.fabric.triggers import Pattern
from parsl_diaspora.sizes import parse_seconds

WAIT = 0.2
UNSAFE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--from", required=True, metavar="URL", dest="source", help="fabric to read")
    parser.add_argument("--to", required=True, metavar="URL", dest="target", help="fabric to forward to")
    parser.add_argument("--back", action="store_true", help="also carry what is said there back")
    parser.add_argument("--topics", metavar="A,B", help="only tasks, resources, failures, control")
    parser.add_argument("--filter", metavar="PATTERN", help="only events that fit: JSON, or @FILE")
    parser.add_argument(
        "--reduce", metavar="RULE", help="make fewer of samples: last:10s, stats:30s, net or net:1m"
    )
    parser.add_argument(
        "--reduce-topics", metavar="A,B", default="resources", help="what is samples (default: %(default)s)"
    )
    parser.add_argument("--name", default="", help="of the consumer (default: made of both fabrics)")
    parser.add_argument("--ids", metavar="ID,ID", help="of the two fabrics, where their own do not do")
    parser.add_argument(
        "--start",
        default="earliest",
        help="earliest, latest or seconds UTC, the first time (default: earliest)",
    )
    parser.add_argument("--status", metavar="SECONDS", help="a line of JSON that often, and one at the end")
    parser.add_argument("--drain", action="store_true", help="end as soon as nothing is left to carry")


def run(args: argparse.Namespace) -> int:
    """Carry events until SIGTERM or SIGINT.

    Returns:
        0 if all that was read is safe on the other side; 1 if not: it comes again the next time.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    interval = _interval(args.status)
    fabrics = LateFabric(args.source), LateFabric(args.target)
    try:
        bridges = _bridges(args, *fabrics)
        with _ending() as ending:
            for bridge in bridges:
                bridge.start()
            _follow(bridges, ending, interval, drains=args.drain)
            safe = [bridge.stop() for bridge in bridges]
        if interval:
            _say(bridges)
    finally:
        for fabric in fabrics:
            fabric.close()
    return 0 if all(safe) else UNSAFE


def _bridges(args: argparse.Namespace, source: Fabric, target: Fabric) -> list[Bridge]:
    ids = _ids(args.ids)
    options: dict[str, Any] = {
        "topics": _list(args.topics) if args.topics is not None else None,
        "wants": _filter(args.filter) if args.filter is not None else None,
        "start": args.start,
    }

    def bridge(one: Fabric, other: Fabric, name: str, ids: tuple[str, str] | None) -> Bridge:
        reduction = Reduction(args.reduce, _list(args.reduce_topics)) if args.reduce is not None else None
        return Bridge(one, other, name=name, ids=ids, reduce=reduction, **options)

    bridges = [bridge(source, target, args.name, ids)]
    if args.back:
        bridges.append(bridge(target, source, args.name and f"{args.name}-back", ids and (ids[1], ids[0])))
    return bridges


def _filter(text: str) -> Filter:
    """A pattern, or what a file with one holds."""
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    return Pattern(text).matches


def _ids(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    source, comma, target = (part.strip() for part in text.partition(","))
    if not (source and comma and target) or "," in target:
        raise FabricError(f"{text!r} is not two ids.", hint="Write them as in --ids site-a,global.")
    return source, target


def _list(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(",")) if part]


def _interval(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        interval = parse_seconds(text)
    except ValueError as error:
        raise DiasporaError(f"--status {text}: {error}", hint="Try --status 10.") from error
    if interval <= 0:
        raise DiasporaError(f"A status every {text!r} is too often.", hint="Try --status 10.")
    return interval


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """Set when the process is asked to end."""
    ending = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: ending.set()) for number in numbers}
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(bridges: Sequence[Bridge], ending: threading.Event, interval: float, *, drains: bool) -> None:
    due = time.monotonic() + interval
    while not ending.wait(0.0 if drains else WAIT):
        if drains and sum(bridge.drain(WAIT) for bridge in bridges) == len(bridges):
            return
        if interval and time.monotonic() >= due:
            due += interval
            _say(bridges)


def _say(bridges: Sequence[Bridge]) -> None:
    write_bytes(msgspec.json.encode(bridge.status()) for bridge in bridges)
