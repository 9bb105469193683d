"""One scenario in a process of its own: a program that hangs, or is killed, harms nobody.

    python -m parsl_diaspora.testing.faults.program manager stock --mark M --directory D --bound 30

It prints one line: the `Outcome` as JSON, or ``ready`` if it is this process that is to be killed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from pathlib import Path

from parsl_diaspora.events import Event, NodeRecovered, NodeSuspected, TryFailed
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.state import read_events
from parsl_diaspora.testing.faults.outcomes import READY, Outcome, encode
from parsl_diaspora.testing.faults.scenarios import SCENARIOS, Futures
from parsl_diaspora.testing.faults.stage import Stage

SETTLE = 0.5  # seconds for the last events to be written


def main(arguments: Sequence[str] | None = None) -> None:
    """Play the scenario, tell what came of it, and leave without a clean-up: our parent sees to that."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("kind", choices=("ours", "stock"))
    parser.add_argument("--mark", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--bound", type=float, default=60.0)
    given = parser.parse_args(arguments)

    stage = Stage(given.kind, given.directory, given.mark)
    play = SCENARIOS[given.scenario].play
    if play is None:
        _wait_to_be_killed(stage)
    else:
        _tell(encode(_played(stage, given.scenario, play, given.bound)).decode())
    os._exit(0)


def _played(stage: Stage, scenario: str, play: Callable[[Stage], Futures], bound: float) -> Outcome:
    try:
        return outcome(stage, scenario, play(stage), bound)
    except TimeoutError as error:  # the host is too busy to play it: a finding, not an end of the others
        return Outcome(scenario=scenario, kind=stage.kind, bound=bound, saw=(f"not played: {error}",))


def outcome(stage: Stage, scenario: str, futures: Futures, bound: float) -> Outcome:
    """Wait for the futures, and see what happened to them."""
    left = stage.struck + bound - time.time()
    ended, waiting = wait(futures, timeout=max(0.0, left))
    now = time.time()
    failed = [error for future in ended if (error := future.exception()) is not None]
    found = Outcome(
        scenario=scenario,
        kind=stage.kind,
        bound=bound,
        ended=None if waiting else now - stage.struck,
        done=len(ended) - len(failed),
        total=len(futures),
        saw=tuple(sorted({type(error).__name__ for error in failed})),
    )
    began = [when for when, _ in stage.tries() if when > stage.struck]
    found.relaunched = began[-1] - stage.struck if began else None
    _put_failures(found, stage)
    return found


def _put_failures(found: Outcome, stage: Stage) -> None:
    failures = stage.failures
    if stage.kind == "ours":
        time.sleep(SETTLE)
        events = list(read_events(open_fabric(stage.url)))
        failures = [(e.time, e.failure.type.rpartition(".")[2]) for e in events if isinstance(e, TryFailed)]
        found.suspected = _first(events, NodeSuspected, stage)
        found.recovered = _first(events, NodeRecovered, stage)
    found.wasted = len(failures)
    if failures:
        first, found.failure = failures[0]
        found.noticed = first - stage.struck


def _first(events: list[Event], kind: type[Event], stage: Stage) -> float | None:
    return next((e.time - stage.struck for e in events if isinstance(e, kind)), None)


def _wait_to_be_killed(stage: Stage) -> None:
    stage.load()
    stage.start(2, 600.0)
    _tell(READY)
    time.sleep(600.0)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
