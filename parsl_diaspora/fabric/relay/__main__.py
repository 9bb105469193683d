"""``python -m parsl_diaspora.fabric.relay``: a hub as a process of its own."""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.fabric.relay.hub import LOOPBACK, Hub
from parsl_diaspora.fabric.relay.keys import HUB_FILE, make_keys

logger = logging.getLogger(__name__)

_LOOK = 1.0  # seconds between looks whether the hub still serves


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a hub until SIGTERM, SIGINT, or the end of stdin if that is asked for.

    Returns:
        0 when it has ended as asked, 1 when it broke, 2 when it could not start.
    """
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    _allow_many_connections()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        hub = _hub(asked)
    except DiasporaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    with hub:
        sys.stdout.write(json.dumps({"url": hub.url, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        if asked.follow_stdin:
            _follow(sys.stdin.buffer, hub, ending)
        while hub.is_serving and not ending.wait(_LOOK):
            pass
        as_asked = ending.is_set()
    return 0 if as_asked else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m parsl_diaspora.fabric.relay", description=__doc__)
    parser.add_argument("--to", required=True, metavar="URL", help="fabric that the events go to")
    parser.add_argument("--keys", required=True, metavar="DIR", type=Path, help="directory of the run's keys")
    parser.add_argument("--make-keys", action="store_true", help="make the keys if there are none")
    parser.add_argument("--listen", default=LOOPBACK, metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument(
        "--follow-stdin",
        action="store_true",
        help='end with stdin; a line {"to": ..., "message": {...}} on it is an order',
    )
    return parser


def _allow_many_connections() -> None:
    """Each client needs a descriptor, and the usual soft limit of 1024 suits programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _hub(asked: argparse.Namespace) -> Hub:
    if asked.make_keys and not (asked.keys / HUB_FILE).exists():
        make_keys(asked.keys)
    return Hub(asked.to, asked.keys, listen=asked.listen)


def _follow(lines: BinaryIO, hub: Hub, ending: threading.Event) -> None:
    def follow() -> None:
        try:
            for line in lines:
                _give(line, hub)
        finally:
            ending.set()

    threading.Thread(target=follow, name="diaspora-relay-stdin", daemon=True).start()


def _give(line: bytes, hub: Hub) -> None:
    try:
        order = json.loads(line)
        hub.order(order["to"], order["message"])
    except (ValueError, KeyError, TypeError, DiasporaError) as error:
        logger.warning("A line on stdin is no order that can be given: %r.", error)


if __name__ == "__main__":
    sys.exit(main())
