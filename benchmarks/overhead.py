"""What the resilience layer costs, against stock Parsl in the same run.

    python benchmarks/overhead.py [--tasks 5000] [--rounds 5] [--quick]

No-op tasks go through the High Throughput Executor (one block of two workers on this host, encrypted),
stock and resilient in turn, each time in a fresh process; the resilient one has everything on: events of
workers, samples of nodes, a log in files. Times of a busy machine mean little by themselves: compare the
ratios, which are taken between the neighbours of one round. Stock's own monitoring, which samples the
resources of each task, gets fewer tasks, as it takes so much longer for them.

A no-op task is the worst case: what a task costs us does not grow with what it does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import parsl
from _parts import bytes_per_task, decision_times, percentiles, publish_times
from _tables import Row, machine, print_table
from _worker import WORKERS, sample_times, try_times

PROGRAM = Path(__file__).with_name("_htex_noop.py")
KINDS = ("stock", "resilient")
SAMPLED = ("monitored", "kept")
FEWER = 25  # times: stock monitoring with samples takes so much longer for a task
ROUND_SECONDS = 600

Measurement = dict[str, float]
Rounds = dict[str, list[Measurement]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=5000, help="tasks a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each kind (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of few tasks: does it run?")
    arguments = parser.parse_args()
    tasks, rounds = (500, 1) if arguments.quick else (arguments.tasks, arguments.rounds)

    print(f"{machine()}, Parsl {parsl.__version__}")
    for logging in (True, False):
        measured = measure_rounds(tasks, rounds, logging=logging)
        print(f"\n{tasks:,} no-op tasks through HTEX {_LOGGING[logging]}, median (range) of rounds: {rounds}")
        print_table(("", "stock", "resilient", "ratio", "goal"), throughput_rows(measured))
    print("\nthe parts on their own")
    print_table(("", "p50", "p99", "max", "goal"), part_rows(quick=arguments.quick))


_LOGGING = {True: "with Parsl's debug log, as by default", False: "without Parsl's debug log"}


# --- tasks through HTEX ---


def measure_rounds(tasks: int, rounds: int, *, logging: bool) -> Rounds:
    """All kinds in each round; which of stock and resilient goes first alternates."""
    measured: Rounds = {kind: [] for kind in (*KINDS, *SAMPLED)}
    for number in range(rounds):
        for kind in KINDS if number % 2 == 0 else reversed(KINDS):
            measured[kind].append(_measure(kind, tasks, logging=logging))
        for kind in SAMPLED:
            measured[kind].append(_measure(kind, max(50, tasks // FEWER), logging=logging))
    return measured


def _measure(kind: str, tasks: int, *, logging: bool) -> Measurement:
    # Parsl starts its helpers by name
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    with tempfile.TemporaryDirectory(prefix="overhead-") as directory:
        command = [sys.executable, str(PROGRAM), kind, directory, "--tasks", str(tasks)]
        ended = subprocess.run(
            command if logging else [*command, "--no-logging"],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=ROUND_SECONDS,
            check=False,
        )
    if ended.returncode:
        sys.exit(f"The {kind} program failed:\n{ended.stderr}")
    found: Measurement = json.loads(ended.stdout.splitlines()[-1])
    return found


def throughput_rows(measured: Rounds) -> list[Row]:
    """Medians with their range, and the range of the ratios between neighbours."""
    return [
        _row(measured, "rate", "tasks/s", "at least 0.95"),
        _row(measured, "submit", "CPU us/task, submit process", ""),
        _row(measured, "others", "CPU us/task, its other processes", ""),
        _row(measured, "total", "CPU us/task, all together", "at most 1.05"),
        _row(measured, "rate", _SAMPLED_TITLE, "at least 20", ("monitored", "resilient")),
        _row(measured, "rate", "tasks/s, its hub kept beside ours", "", ("monitored", "kept")),
    ]


_SAMPLED_TITLE = "tasks/s, stock's monitoring samples each second"


def _row(measured: Rounds, key: str, title: str, goal: str, kinds: tuple[str, str] = KINDS) -> Row:
    stock, resilient = ([each[key] for each in measured[kind]] for kind in kinds)
    ratios = [ours / theirs for ours, theirs in zip(resilient, stock, strict=True)]
    return title, _spread(stock, "{:.0f}"), _spread(resilient, "{:.0f}"), _spread(ratios, "{:.2f}"), goal


def _spread(values: Sequence[float], form: str) -> str:
    median, low, high = (form.format(each(values)) for each in (statistics.median, min, max))
    return f"{median} ({low}-{high})"


# --- parts ---


def part_rows(*, quick: bool) -> list[Row]:
    """Publishing, the state's memory, decisions, a try on its worker, a look at a node."""
    events, tasks, failing = (2_000, 2_000, 100) if quick else (100_000, 100_000, 5_000)
    paced = publish_times(events, paced=True)
    burst = publish_times(events, paced=False)
    alone, whole = decision_times(tasks, failing)
    memory = bytes_per_task(tasks if quick else 20_000)
    stock_try, our_try = (percentiles(taken) for taken in try_times(2_000 if quick else 20_000))
    sample = percentiles(sample_times(20 if quick else 200))
    return [
        _times("publish(), 10,000 events/s, us", paced, "p99 under 20"),
        _times("publish(), burst, us", burst, "p99 under 20"),
        _times(f"diagnose and decide, {tasks:,} tasks in state, us", alone, ""),
        _times(f"retry handler's answer, {tasks:,} tasks in state, us", whole, ""),
        ("state, bytes per finished task", f"{memory:.0f}", "", "", "under 1000"),
        _times("a no-op try on its worker, stock, CPU us", stock_try, ""),
        _times("a no-op try on its worker, ours, CPU us", our_try, "no more than stock"),
        _times(f"a sample of {WORKERS} workers, CPU us", sample, "under 50,000: 1 % at 5 s"),
    ]


def _times(title: str, found: Measurement, goal: str) -> Row:
    return title, *(f"{found[key]:.1f}" for key in ("p50", "p99", "max")), goal


if __name__ == "__main__":
    main()
