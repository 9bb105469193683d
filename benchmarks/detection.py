"""How soon faults are noticed and what comes of them: stock Parsl beside ours, at Parsl's default heartbeats.

    python benchmarks/detection.py [--only ours|stock] [--faults manager,node] [--bound 150] [--quick]

Each fault hits a real program on this host, stock or made resilient and otherwise the same: a block or two
of two workers, heartbeats of 30 s with a threshold of 120 s. Times are seconds since the fault. Programs that
only wait run together, so a table of stock takes little longer than its slowest row.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import parsl
from _tables import machine, print_table

from parsl_diaspora.testing.faults import SCENARIOS, Outcome, play_all
from parsl_diaspora.testing.faults.table import HEAD, rows

BOUNDS = {"stock": 150.0, "ours": 60.0}
QUICK_BOUND = 25.0
TOGETHER = {"stock": 5, "ours": 2}


def main() -> None:
    """Play, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("ours", "stock"), help="one of the two")
    parser.add_argument("--faults", default=",".join(SCENARIOS), help="which ones (default: %(default)s)")
    parser.add_argument(
        "--bound", type=float, help="seconds that are waited for after a fault (default: stock 150, ours 60)"
    )
    parser.add_argument("--quick", action="store_true", help=f"wait only {QUICK_BOUND:.0f} s: does it run?")
    arguments = parser.parse_args()
    names = arguments.faults.split(",")
    if unknown := [name for name in names if name not in SCENARIOS]:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")

    print(f"{machine()}, Parsl {parsl.__version__}; heartbeats 30 s, threshold 120 s", flush=True)
    outcomes: dict[tuple[str, str], Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="detection-", ignore_cleanup_errors=True) as directory:
        for kind in ("ours", "stock") if arguments.only is None else (arguments.only,):
            bound = arguments.bound or (QUICK_BOUND if arguments.quick else BOUNDS[kind])
            outcomes |= _play(names, kind, bound, Path(directory))
    print()
    print_table(HEAD, rows(outcomes, names))


def _play(names: list[str], kind: str, bound: float, directory: Path) -> dict[tuple[str, str], Outcome]:
    began = time.monotonic()

    def tell(found: Outcome) -> None:
        seconds = time.monotonic() - began
        print(f"{seconds:5.0f} s  {found.scenario}, {kind}: {found.story}", file=sys.stderr, flush=True)

    jobs = [(name, kind, bound) for name in names]
    return play_all(jobs, directory, together=TOGETHER[kind], tell=tell)


if __name__ == "__main__":
    main()
