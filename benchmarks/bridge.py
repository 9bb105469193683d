"""How many events a second a bridge carries from an embedded log to another fabric.

    python benchmarks/bridge.py [--quick] [--rounds 3] [--to URL] [--dir DIR] [--json FILE]

Targets take turns within each round; figures are medians over the rounds. All get the same events of about
300 bytes, from the first read to the commit behind the last. ``--to kafka://host:9092`` is measured as well.
Figures are printed, never asserted: times of a busy machine mean little by themselves.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _events import sample
from _tables import machine

from parsl_diaspora.fabric import Fabric, open_fabric
from parsl_diaspora.fabric.bridge import Bridge

GOAL = 100_000  # events a second
EVENTS, QUICK = 300_000, 5_000
_FILL = 20_000
_TIMEOUT = 300.0


def main() -> int:
    """Measure and print."""
    arguments = _arguments()
    events, rounds = (QUICK, 1) if arguments.quick else (EVENTS, arguments.rounds)
    with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
        source = open_fabric(f"file:{place}/source")
        _fill(source, events)
        rates: dict[str, list[float]] = {}
        for number in range(rounds):
            for name, target, options in _targets(Path(place), number, arguments.to):
                rates.setdefault(name, []).append(_carry(source, target, events, number, **options))
    print(f"{machine()}, {events} events, median of rounds: {rounds}")
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name:<34} {rate:>10,.0f} events/s  goal {GOAL:,}  {'met' if rate >= GOAL else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "goal": GOAL, "rates": rates}) + "\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round of little work: does it run?")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: %(default)s)")
    parser.add_argument("--to", metavar="URL", help="a further fabric to carry to")
    parser.add_argument("--dir", type=Path, help="where the logs lie meanwhile")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures of each round there, too"
    )
    return parser.parse_args()


def _fill(source: Fabric, events: int) -> None:
    publisher = source.publisher("submit:host:1", buffer=2 * _FILL)
    for number in range(1, events + 1):
        publisher.forward(sample(number))
        if number % _FILL == 0:
            publisher.flush(60.0)
    if publisher.close(60.0).safe != events:
        sys.exit("The source could not be filled.")


def _targets(place: Path, number: int, url: str | None) -> list[tuple[str, Fabric, dict[str, str]]]:
    targets: list[tuple[str, Fabric, dict[str, str]]] = [
        ("file -> file", open_fabric(f"file:{place}/to-{number}"), {}),
        ("file -> file, with --reduce", open_fabric(f"file:{place}/less-{number}"), {"reduce": "last:10s"}),
        ("file -> memory", open_fabric("memory:"), {}),
    ]
    if url:
        targets.append((f"file -> {url.partition(':')[0]}", open_fabric(url), {}))
    return targets


def _carry(source: Fabric, target: Fabric, events: int, number: int, **options: str) -> float:
    bridge = Bridge(
        source, target, name=f"bench-{number}-{time.monotonic_ns()}", reduce=options.get("reduce")
    )
    began = time.perf_counter()
    if not bridge.drain(_TIMEOUT):
        sys.exit(f"Not everything was carried to {target.url}: {bridge.status().why}")
    took = time.perf_counter() - began
    bridge.stop()
    target.close()
    return events / took


if __name__ == "__main__":
    sys.exit(main())
