"""What the fabric carries, beside the alternatives, in one run.

    python benchmarks/fabric.py [--quick] [--rounds 3] [--only NAME] [--kafka HOST:PORT] [--json FILE]

Candidates take turns within each round; figures are medians over the rounds. All carry the same events of
about 300 bytes. Run it on two quiet cores: figures are printed, never asserted. Times of a busy machine mean
little by themselves, so compare the columns. The goals are those of the embedded log, and of the relay in
its own table.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _candidates import ALL, why_missing
from _events import encoded
from _fabric_append import PART as APPEND
from _fabric_latency import ACKNOWLEDGED, END_TO_END
from _fabric_memory import PART as MEMORY
from _fabric_publish import CALLERS_SIDE, OBJECT_TO_LOG
from _fabric_read import PART as READ
from _fabric_stopped import PART as STOPPED
from _figures import QUICK, Figure, Measured, Part, Sizes
from _tables import machine, print_table

PARTS = (APPEND, OBJECT_TO_LOG, CALLERS_SIDE, END_TO_END, READ, ACKNOWLEDGED, MEMORY, STOPPED)
Rounds = dict[str, list[Measured]]


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what it made is removed then as well
    sizes, rounds = (QUICK, 1) if arguments.quick else (Sizes(), arguments.rounds)
    missing = _missing(arguments.kafka)
    print(f"{machine()}, events of {len(encoded(1)[0])} bytes, median of rounds: {rounds}")
    for name, why in missing.items():
        print(f"{name}: {why}")
    report: dict[str, Any] = {"machine": machine(), "rounds": rounds, "missing": missing, "rows": []}
    for part in PARTS:
        if not arguments.only or part.name in arguments.only:
            measured = _measure(part, sizes, 1 if part.once else rounds, missing, arguments)
            _print(part, sizes, measured, missing)
            report["rows"] += list(_rows_as_data(part, measured))
    print(f"\n{machine()}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round of little work: does it run?")
    parser.add_argument("--rounds", type=_positive, default=3, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[part.name for part in PARTS],
        help="only this table; can be repeated",
    )
    parser.add_argument("--kafka", metavar="HOST:PORT", help="a broker to measure as well")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures of each round there, too"
    )
    parser.add_argument(
        "--dir", type=Path, help="where the logs lie meanwhile (default: the system's choice)"
    )
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _missing(kafka: str | None) -> dict[str, str]:
    missing = {name: why for name in ALL if (why := why_missing(name))}
    if not kafka:
        missing["Kafka"] = "not measured: needs --kafka HOST:PORT"
    return missing


# --- measuring ---


def _measure(
    part: Part, sizes: Sizes, rounds: int, missing: dict[str, str], arguments: argparse.Namespace
) -> Rounds:
    """All candidates in each round; which goes first changes."""
    names = [name for name in part.candidates if name not in missing]
    measured: Rounds = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            measured[name].append(_measure_one(part, name, sizes, arguments))
    return measured


def _measure_one(part: Part, name: str, sizes: Sizes, arguments: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory(prefix="fabric-benchmark-", dir=arguments.dir) as directory:
        place = f"{directory}/log"
        if name == "Kafka":
            place = f"{arguments.kafka}/benchmark-{uuid.uuid4().hex}"
        try:
            return part.measure(name, place, sizes)
        except Exception:  # noqa: BLE001 - one candidate that fails must not hide the others' figures
            traceback.print_exc(file=sys.stderr)
            return {}


def _values(measured: Rounds, name: str, figure: Figure) -> list[float]:
    return [each[figure.key] for each in measured.get(name, []) if figure.key in each]


# --- printing ---


def _print(part: Part, sizes: Sizes, measured: Rounds, missing: dict[str, str]) -> None:
    columns = [name for name in ALL if name in part.candidates]
    title = part.title.format(large=f"{sizes.large / 1e6:,.0f} MB", small=f"{sizes.small / 1e6:,.0f} MB")
    print(f"\n{title} (--only {part.name})")
    rows = []
    for figure in part.figures:
        cells = [_cell(figure, measured, name) for name in columns]
        rows.append((figure.title, *cells, figure.goal_in_words(), _verdict(figure, measured)))
    heads = [f"{name} (not measured)" if name in missing else name for name in columns]
    print_table(("", *heads, "goal", "met"), rows)


def _cell(figure: Figure, measured: Rounds, name: str) -> str:
    if name in measured and not any(measured[name]):
        return "failed"
    values = _values(measured, name, figure)
    return figure.form.format(statistics.median(values)) if values else "-"


def _verdict(figure: Figure, measured: Rounds) -> str:
    values = _values(measured, figure.judged, figure)
    if figure.goal is None or not values:
        return ""
    return "yes" if figure.is_met(statistics.median(values)) else "no"


def _rows_as_data(part: Part, measured: Rounds) -> Iterator[dict[str, object]]:
    for figure in part.figures:
        values = {name: found for name in measured if (found := _values(measured, name, figure))}
        yield {
            "part": part.name,
            "figure": figure.title,
            "goal": figure.goal_in_words(),
            "met": _verdict(figure, measured),
            "rounds": values,
        }


if __name__ == "__main__":
    main()
