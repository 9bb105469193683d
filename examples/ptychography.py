"""Ptychography under fire: four regions of a sample, reconstructed bit for bit as if nothing had happened.

    python examples/ptychography.py                      # about a minute; writes ptychography.svg
    python examples/ptychography.py --kills 6 --seed 11

The same program runs twice. First on stock Parsl, undisturbed. Then made resilient, while workers are killed,
the block of one site comes to the end of its walltime, and one task is moved to the other site. Each task
saves its state when it is told to, in three lines, and goes on from there wherever it is started again. At
the end both are compared; what the picture shows is drawn from what the tasks wrote down themselves.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import parsl
from ptychography_model import Experiment
from ptychography_report import Happened, Outcome, State, done, draw, equal, figures, read_trail
from ptychography_sites import SITES, configuration

from parsl_diaspora import PoolSpec, SiteSpec, resilience, resilient
from parsl_diaspora.testing.chaos import Chaos, FaultRecord
from parsl_diaspora.testing.shutdown import shut_down

PATIENCE = 600.0


@parsl.python_app
@resilience(checkpoint=True)
def reconstruct(experiment: Experiment, region: int, steps: int, trail: str) -> State:
    """Reconstruct one region; see ``ptychography_model.reconstruct`` for the loop with its saves."""
    import time
    from pathlib import Path

    import ptychography_model as model

    from parsl_diaspora import current_task
    from parsl_diaspora.errors import NotInTask

    try:
        task, attempt = current_task(), current_task().attempt
    except NotInTask:  # on stock Parsl
        task, attempt = model.Alone(), 0
    with Path(trail, f"region-{region}").open("a", buffering=1) as file:
        return model.reconstruct(
            experiment, region, steps, task, lambda step: file.write(f"{time.time():.3f} {attempt} {step}\n")
        )


# ------------------------------------------------------------------ one run


def run(
    config: parsl.Config, args: argparse.Namespace, mark: str, name: str, disturber: Disturber | None = None
) -> Outcome:
    """Reconstruct all regions, and leave nothing behind."""
    trail = args.run_dir / f"trail-{mark}"
    trail.mkdir(parents=True)
    kernel = parsl.load(config)
    began = time.time()
    try:
        futures = [
            reconstruct(args.experiment, region, args.steps, str(trail))
            for region in range(args.experiment.regions)
        ]
        watch(futures, name, lambda: done(read_trail(trail), args.experiment, args.steps), disturber)
        states = [future.result(timeout=0) for future in futures]
        seconds = time.time() - began
    finally:
        shutdown = shut_down(kernel, mark)
    happened = disturber.happened if disturber is not None else []
    return Outcome(states, began, seconds, read_trail(trail), happened, shutdown.left)


def watch(
    futures: list[Future[State]], name: str, so_far: Callable[[], float], disturber: Disturber | None
) -> None:
    """Wait for all, tell how far it is, and let the disturber know."""
    began, told = time.monotonic(), 0.0
    while not all(future.done() for future in futures) and time.monotonic() - began < PATIENCE:
        part = so_far()
        if part >= told + 0.25:
            say(time.monotonic() - began, f"{name}: {part:.0%} of all steps")
            told = part
        if disturber is not None:
            disturber.look(part, futures)
        time.sleep(0.1)


def say(seconds: float, text: str) -> None:
    """One line of what happens."""
    print(f"{seconds:6.1f} s  {text}", flush=True)


class Disturber:
    """Kills workers as the work goes on, and moves one task in the middle. Blocks end by themselves."""

    def __init__(self, args: argparse.Namespace, mark: str) -> None:
        plan = Chaos.plan(args.seed, busy_workers=args.kills, window=(0.1, 0.8), min_gap=0.05, by="progress")
        self.chaos = Chaos(args.seed, mark, plan, self._note)
        self.happened: list[Happened] = []
        self._migrate_at: float = args.migrate_at
        self._began = time.time()

    def _note(self, record: FaultRecord) -> None:
        self._tell(Happened(record.time, f"{record.kind.replace('_', ' ')} at {record.site or 'no site'}"))

    def _tell(self, happened: Happened) -> None:
        self.happened.append(happened)
        say(happened.time - self._began, happened.what)

    def look(self, part: float, futures: list[Future[State]]) -> None:
        """Take note of how far it is, and do what is due."""
        self.chaos.progress(part)
        if part >= self._migrate_at:
            self._migrate_at = 2.0
            self._migrate(futures)

    def _migrate(self, futures: list[Future[State]]) -> None:
        from parsl_diaspora import migrate

        for region, future in enumerate(futures):
            here = place_of(future)
            if not future.done() and here in SITES:
                there = next(label for label in SITES if label != here)
                migrate(future, to=there)
                self._tell(Happened(time.time(), f"region {region} is moved from {here} to {there}"))
                return


def place_of(future: Any) -> str:
    """The label of the executor that a task is at."""
    label: str = future.task_record["executor"]
    return label


# ------------------------------------------------------------------ both runs, and the comparison


def undisturbed(args: argparse.Namespace) -> Outcome:
    """On stock Parsl, and nothing happens to it."""
    mark = f"ptychography-{uuid.uuid4().hex[:8]}"
    return run(configuration(args.run_dir, mark), args, mark, "undisturbed, stock Parsl")


def disturbed(args: argparse.Namespace, walltime: int) -> Outcome:
    """Made resilient: the one line that this is about."""
    mark = f"ptychography-{uuid.uuid4().hex[:8]}"
    pool = PoolSpec(
        sites={label: SiteSpec(min_nodes=1, max_nodes=2) for label in SITES},
        min_nodes=len(SITES),
        requests_per_minute=12,
    )
    config = resilient(configuration(args.run_dir, mark, walltime), pool=pool)
    disturber = Disturber(args, mark)
    with disturber.chaos:
        return run(config, args, mark, "disturbed, resilient", disturber)


def read_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Experiment()
    parser.add_argument("--seed", type=int, default=default.seed, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=120, help="of each region (default: %(default)s)")
    parser.add_argument("--spots", type=int, default=default.spots, help="of a region in each direction")
    parser.add_argument("--pitch", type=int, default=default.pitch, help="pixels between two spots")
    parser.add_argument("--window", type=int, default=default.window, help="pixels of the detector")
    parser.add_argument("--beam", type=float, default=default.beam, help="its radius in pixels")
    parser.add_argument("--kills", type=int, default=4, help="workers that are killed (%(default)s)")
    parser.add_argument("--migrate-at", type=float, default=0.5, help="part of the work done (%(default)s)")
    parser.add_argument("--walltime", type=int, help="of blocks of birch in seconds (default: half the run)")
    parser.add_argument("--picture", type=Path, default=Path("ptychography.svg"))
    parser.add_argument("--run-dir", type=Path, default=Path("runinfo"))
    args = parser.parse_args()
    args.experiment = Experiment(
        seed=args.seed, spots=args.spots, pitch=args.pitch, window=args.window, beam=args.beam
    )
    args.run_dir = args.run_dir.absolute()
    return args


def main() -> int:
    """Run both, compare, and draw; 0 if every region is the same to the last bit."""
    args = read_arguments()
    calm = undisturbed(args)
    hit = disturbed(args, args.walltime or max(8, round(calm.seconds / 2)))
    columns = figures(calm, args.experiment), figures(hit, args.experiment)
    print(f"\n{'':32}{'undisturbed':>14}{'disturbed':>14}")
    for name in columns[0]:
        print(f"{name:32}" + "".join(f"{column[name]:>14}" for column in columns))
    same = [equal(one, other) for one, other in zip(calm.states, hit.states, strict=True)]
    args.picture.write_text(draw(args.experiment, calm, hit))
    print(f"\n{sum(same)} of {len(same)} regions are equal bit for bit; the picture is {args.picture}")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
