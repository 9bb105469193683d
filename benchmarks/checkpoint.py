"""What checkpoints cost and what they save, beside memcpy, the disk, and the same program without them.

    python benchmarks/checkpoint.py [--only stop,dirty,disk,memory,...] [--small] [--dir DIR] [--json FILE]

Each figure stands beside what it is measured against, which was measured in the same run. Figures are
printed, never asserted: times of a busy machine mean little by themselves, ratios more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _checkpoint_core import dirty, disk, memory, stop
from _checkpoint_hours import hours
from _checkpoint_rows import SMALL, Measured, Row, Sizes, print_rows
from _checkpoint_runs import kills, migration, overhead
from _tables import machine

PARTS: dict[str, Callable[[Path, Sizes, Measured], list[Row]]] = {
    "stop": stop,
    "dirty": dirty,
    "disk": disk,
    "memory": memory,
    "overhead": overhead,
    "kills": kills,
    "hours": hours,  # after kills, which tell it how long a new start takes
    "migration": migration,
}


def measure(names: list[str], directory: Path, sizes: Sizes) -> list[Row]:
    """The rows of the parts, one after the other."""
    rows: list[Row] = []
    measured: Measured = {}
    began = time.monotonic()
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=directory) as place:
            found = PARTS[name](Path(place), sizes, measured)
        rows += found
        for row in found:
            print(f"{time.monotonic() - began:5.0f} s  {'  '.join(row.cells())}", file=sys.stderr, flush=True)
    return rows


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="which parts (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="little of everything: does it run?")
    parser.add_argument("--megabytes", type=int, help="of the state that is saved (default: 1000)")
    parser.add_argument("--rounds", type=int, help="of each measurement (default: 5)")
    parser.add_argument("--task-seconds", type=float, help="of real tasks that are killed (default: 300)")
    parser.add_argument("--tasks", type=int, help="that are killed, and as many without checkpoints")
    parser.add_argument("--dir", type=Path, help="where states are saved meanwhile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    args = parser.parse_args()
    args.only = args.only.split(",")
    if unknown := {*args.only} - {*PARTS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    if args.rounds is not None and args.rounds < 1:
        parser.error("--rounds must be at least 1")
    return args


def sizes_of(args: argparse.Namespace) -> Sizes:
    """How much work is to be done."""
    sizes = SMALL if args.small else Sizes()
    asked = {
        "state": args.megabytes and args.megabytes * 1_000_000,
        "rounds": args.rounds,
        "task": args.task_seconds,
        "tasks": args.tasks,
    }
    return sizes._replace(**{name: value for name, value in asked.items() if value is not None})


def main() -> int:
    """Measure, and print the table."""
    args = read_arguments()
    if args.dir is not None:
        args.dir.mkdir(parents=True, exist_ok=True)
    sizes = sizes_of(args)
    print(f"{machine()}; {sizes.rounds} rounds", flush=True)
    rows = measure(args.only, args.dir, sizes)
    print_rows(rows)
    if args.json:
        told = [{**row._asdict(), "met": row.is_met} for row in rows]
        args.json.write_text(json.dumps({"machine": machine(), "rows": told}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
