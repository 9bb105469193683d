"""What one match of a trigger's pattern costs: compiled, beside a naive reading of the same pattern.

    python benchmarks/triggers.py [--quick] [--json FILE]

Every match is timed by itself, so each figure holds the clock's own reading as well (told above the table).
The goal is a match under 5 microseconds.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks._tables import machine, percentile, print_table  # noqa: E402
from parsl_diaspora.events import Event, Failure, TaskEnded, TaskSubmitted, TryFailed, TryStarted  # noqa: E402
from parsl_diaspora.fabric.triggers import Pattern, plain  # noqa: E402
from tests.fabric.pattern_reference import matches as read_naively  # noqa: E402

GOAL = 5.0  # microseconds
ROUNDS, QUICK_ROUNDS = 40, 2

PATTERNS: dict[str, dict[str, Any]] = {
    "one kind": {"kind": ["task.try_failed"]},
    "kind, prefix, number": {
        "kind": ["task.try_failed"],
        "failure": {"message": [{"prefix": "Memory"}]},
        "try_id": [{"numeric": [">=", 1, "<", 5]}],
    },
    "every kind of rule": {
        "node": [{"wildcard": "gpu*.site?"}, {"suffix": ".example.org"}, {"cidr": "10.0.0.0/8"}],
        "executor": [{"anything-but": {"prefix": ["test", "debug"]}}],
        "site": [{"exists": False}, {"equals-ignore-case": "alpha"}],
        "$or": [{"failure": {"chain": ["builtins.MemoryError"]}}, {"outcome": [{"anything-but": ["done"]}]}],
    },
}


def make_events(count: int = 500) -> list[Event]:
    """What a run says, in the mix of a run with failures."""
    failure = Failure(
        chain=("builtins.MemoryError", "builtins.Exception", "builtins.object"),
        message="MemoryError: cannot allocate",
        traceback="Traceback (most recent call last):\n" + "  File x\n" * 40,
    )
    events: list[Event] = []
    for task in range(count):
        place = {"run": "r", "task": task, "executor": "gpu", "node": f"10.0.{task % 250}.7", "boot": "b"}
        made = (
            TaskSubmitted(func="simulate", seq=4 * task, **place),
            TryStarted(try_id=0, seq=4 * task + 1, **place),
            TryFailed(try_id=task % 3, failure=failure, seq=4 * task + 2, **place),
            TaskEnded(outcome="failed" if task % 5 else "done", seq=4 * task + 3, **place),
        )
        events.extend(made)
    return events


def timed(match: Callable[[Any], bool], events: list[Any], rounds: int) -> list[float]:
    """Microseconds of each match."""
    clock, taken = time.perf_counter_ns, []
    gc.disable()
    try:
        for _ in range(rounds):
            for event in events:
                begun = clock()
                match(event)
                taken.append((clock() - begun) / 1_000)
    finally:
        gc.enable()
    return taken


def measure(pattern: dict[str, Any], events: list[Event], rounds: int) -> dict[str, list[float]]:
    """Ways of matching to microseconds of each match; they take turns, so that all meet the same machine."""
    compiled, plains = Pattern(pattern).matches, [plain(event) for event in events]
    ways: dict[str, tuple[Callable[[Any], bool], list[Any]]] = {
        "compiled, event": (compiled, events),
        "compiled, dict": (compiled, plains),
        "naive, dict": (lambda event: read_naively(pattern, event), plains),
        "naive, event made a dict": (lambda event: read_naively(pattern, plain(event)), events),
    }
    for match, given in ways.values():
        timed(match, given[:50], 1)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (match, given) in ways.items():
            taken[name].extend(timed(match, given, 1))
    return taken


def main() -> int:
    """Measure and print; exit status 0 whatever the figures are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there, too")
    args = parser.parse_args()
    events, rounds = make_events(), QUICK_ROUNDS if args.quick else ROUNDS
    empty = timed(lambda event: True, events, rounds)
    print(machine())
    print(f"the clock's own reading and an empty function: {percentile(empty, 0.5):.2f} us at the median\n")
    rows, figures = [], []
    for title, pattern in PATTERNS.items():
        taken = measure(pattern, events, rounds)
        ours = percentile(taken["compiled, event"], 0.5)
        for way, times in taken.items():
            p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
            rows.append((f"{title}: {way}", f"{p50:.2f}", f"{p99:.2f}", f"{p50 / ours:.1f}"))
            figures.append({"pattern": title, "way": way, "p50": p50, "p99": p99, "ratio": p50 / ours})
    print_table(("microseconds a match (goal: under 5)", "p50", "p99", "ratio"), rows)
    if args.json:
        args.json.write_text(json.dumps({"goal": GOAL, "figures": figures}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
