"""``parsl-diaspora places``: what is believed of places, from how many tries, how old, and why."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from parsl_diaspora.cli.find import RUN_DIR
from parsl_diaspora.cli.output import console, table, write_json
from parsl_diaspora.cli.words import count, duration
from parsl_diaspora.errors import FabricUnavailable, NotFound
from parsl_diaspora.events import PlacesLearned
from parsl_diaspora.fabric import Fabric, open_fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.monitoring.placing.memory import default_url
from parsl_diaspora.state.places import Places, matches
from parsl_diaspora.state.reading import Reading

VARIABLE = "PARSL_DIASPORA_PLACES"
TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--func", metavar="PATTERN", default="*", help="only these functions, as 'train*'")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--forget", metavar="PATTERN", help="forget what is believed of these functions")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--places", metavar="URL", help=f"the fabric that runs share (default: ${VARIABLE})")
    where.add_argument(
        "--run-dir", metavar="DIR", help=f"the memory beside the runs in this directory (default: {RUN_DIR})"
    )


def run(args: argparse.Namespace) -> int:
    """List what is believed, or have it forgotten."""
    fabric = _open(args)
    if args.forget is not None:
        _forget(fabric, args.forget)
        return 0
    places = Places()
    for event in Reading(fabric):
        if isinstance(event, PlacesLearned):
            places.fold(event)
    now = time.time()
    found = [each for each in rows_of(places, now) if matches(str(each["func"]), args.func)]
    if args.json:
        write_json(found)
    else:
        _print(found, now)
    return 0


def rows_of(places: Places, now: float) -> list[dict[str, Any]]:
    """All beliefs as plain data, and failures that are known to be a function's own; the newest first."""
    beliefs = [
        {
            "func": func,
            "place": place,
            "environment": environment,
            "chance": round(belief.chance(now), 3),
            "tries": belief.tries,
            "lack": belief.lack,
            "memory": belief.memory,
            "last": belief.last,
        }
        for (func, place, environment), belief in places
    ]
    hopeless = [
        {"func": func, "place": "anywhere", "chance": 0.0, "failure": failure, "last": at}
        for func, failure, at in places.hopeless_ones()
    ]
    return sorted([*beliefs, *hopeless], key=lambda row: -float(str(row["last"])))


def _open(args: argparse.Namespace) -> Fabric:
    url = args.places or ("" if args.run_dir else os.environ.get(VARIABLE, ""))
    fabric = open_fabric(url or default_url(Path(args.run_dir or RUN_DIR)))
    if isinstance(fabric, FileFabric) and not fabric.directory.exists():
        shown = without_secrets(fabric.url).partition("?")[0]
        hint = "Runs with more than one executor begin one; name another with --places or --run-dir."
        raise NotFound(f"No run has left a memory of places in {shown}.", where=shown, hint=hint)
    return fabric


def _forget(fabric: Fabric, pattern: str) -> None:
    publisher = fabric.publisher(default_source("cli"), immediate=True)
    publisher.publish(PlacesLearned(forget=pattern))
    if not publisher.close(TIMEOUT).safe:
        message = f"The fabric {fabric.url} has not taken it within {TIMEOUT:g} s."
        raise FabricUnavailable(message, url=fabric.url, hint="Try again when it can be written.")


def _print(rows: list[dict[str, Any]], now: float) -> None:
    if not rows:
        console().print("Nothing is believed of any place.")
        return
    cells = [
        (
            str(row["func"]).partition("#")[0],
            str(row["place"]),
            f"{row['chance']:.0%}",
            count(row["tries"], "try", "tries") if "tries" in row else "",
            f"{duration(max(0.0, now - row['last']))} ago",
            _why(row),
        )
        for row in rows
    ]
    console().print(
        table(("function", "place", "succeeds", "from", "newest", "why"), cells, wrapped=("why",), indent=0)
    )


def _why(row: dict[str, Any]) -> str:
    if "failure" in row:
        return f"{row['failure']} was the same at two healthy places"
    return f"it lacks {row['lack']}" if row["lack"] else ""
