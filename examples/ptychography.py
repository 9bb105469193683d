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

from parsl_diaspora import PoolSpec, SiteSpec, migrate, open_fabric, resilience, resilient
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import BlockLost, Event
from parsl_diaspora.state import read_events
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


class Run:
    """One reconstruction of all regions, from loading Parsl to leaving nothing behind.

    Args:
        name: for the lines that tell how far it is.
        args: of the command line.

    Attributes:
        mark: by which its processes are known.
        events: where its events go, if it is resilient.
        futures: of its tasks.
    """

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        self.name = name
        self.mark = f"ptychography-{uuid.uuid4().hex[:8]}"
        self.events = f"file:{args.run_dir / self.mark / 'events'}"
        self.futures: list[Future[State]] = []
        self._args = args
        self._trail = args.run_dir / self.mark
        self._began = time.time()

    def play(self, config: parsl.Config, look: Callable[[float], None] = lambda part: None) -> Outcome:
        """Run it.

        Args:
            config: stock, or resilient.
            look: called again and again with the part of all steps that is done.
        """
        self._trail.mkdir(parents=True, exist_ok=True)
        kernel = parsl.load(config)
        try:
            self.futures = [
                reconstruct(self._args.experiment, region, self._args.steps, str(self._trail))
                for region in range(self._args.experiment.regions)
            ]
            self._watch(look)
            states = [future.result(timeout=0) for future in self.futures]
            seconds = time.time() - self._began
        finally:
            shutdown = shut_down(kernel, self.mark)
        return Outcome(states, self._began, seconds, read_trail(self._trail), left=shutdown.left)

    def _watch(self, look: Callable[[float], None]) -> None:
        told = 0.0
        while not all(future.done() for future in self.futures) and time.time() - self._began < PATIENCE:
            part = done(read_trail(self._trail), self._args.experiment, self._args.steps)
            if part >= told + 0.25:
                self.say(time.time(), f"{part:.0%} of all steps are done")
                told = part
            look(part)
            time.sleep(0.1)

    def say(self, at: float, text: str) -> None:
        """One line of what happens."""
        print(f"{at - self._began:6.1f} s  {self.name}: {text}", flush=True)


# ------------------------------------------------------------------ what happens to one of them


class Disturber:
    """Kills workers as the work goes on, and moves one task in the middle. Blocks end by themselves."""

    def __init__(self, run: Run, args: argparse.Namespace) -> None:
        plan = Chaos.plan(args.seed, busy_workers=args.kills, window=(0.1, 0.8), min_gap=0.05, by="progress")
        self.chaos = Chaos(args.seed, run.mark, plan, self._note)
        self.happened: list[Happened] = []
        self._run = run
        self._migrate_at: float = args.migrate_at
        self._moving: Future[bool] | None = None

    def _note(self, record: FaultRecord) -> None:
        self._tell(Happened(record.time, f"{record.kind.replace('_', ' ')} at {record.site or 'no site'}"))

    def _tell(self, happened: Happened) -> None:
        self.happened.append(happened)
        self._run.say(*happened)

    def look(self, part: float) -> None:
        """Take note of how far it is, and do what is due."""
        self.chaos.progress(part)
        if self._moving is not None and self._moving.done():
            arrived, self._moving = self._moving.result(), None
            if arrived:
                self._migrate_at = float("inf")
                self._tell(Happened(time.time(), "it has arrived"))
        if part >= self._migrate_at and self._moving is None:
            self._moving = self._migrate()

    def _migrate(self) -> Future[bool] | None:
        """Move a task to the site with fewer; None if none can be moved now, as when it was just killed."""
        running = {n: place_of(future) for n, future in enumerate(self._run.futures) if not future.done()}
        there, here = sorted(SITES, key=list(running.values()).count)
        for region in (region for region, place in running.items() if place == here):
            try:
                moving = migrate(self._run.futures[region], to=there, reason="in the middle of it")
            except ConfigurationError:
                continue
            self._tell(Happened(time.time(), f"region {region} is moved from {here} to {there}"))
            return moving
        return None


def place_of(future: Any) -> str:
    """The label of the executor that a task is at."""
    label: str = future.task_record["executor"]
    return label


# ------------------------------------------------------------------ both runs, and the comparison


def undisturbed(args: argparse.Namespace) -> Outcome:
    """On stock Parsl, and nothing happens to it."""
    run = Run("undisturbed", args)
    return run.play(configuration(args.run_dir, run.mark))


def disturbed(args: argparse.Namespace, walltime: int) -> Outcome:
    """Made resilient; and then it gets no rest."""
    run = Run("disturbed", args)
    stock = configuration(args.run_dir, run.mark, walltime)
    pool = PoolSpec(
        sites={label: SiteSpec(min_nodes=1, max_nodes=2) for label in SITES},
        min_nodes=len(SITES),
        requests_per_minute=12,
    )
    config = resilient(stock, pool=pool, checkpoint={"interval": args.interval}, fabric=run.events)
    disturber = Disturber(run, args)
    with disturber.chaos:
        outcome = run.play(config, disturber.look)
    events = list(read_events(open_fabric(run.events)))
    ends = [Happened(each.time, f"a block of {each.executor} has ended") for each in lost(events)]
    for end in ends:
        run.say(*end)
    return outcome._replace(events=events, happened=sorted([*disturber.happened, *ends]))


def lost(events: list[Event]) -> list[BlockLost]:
    """Ends of blocks that nobody had asked for."""
    return [event for event in events if isinstance(event, BlockLost) and not event.expected]


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
    parser.add_argument("--interval", default="1s", help="between two saves, or auto (%(default)s)")
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
    hit = disturbed(args, args.walltime or max(20, round(calm.seconds / 2)))
    columns = figures(calm, args.experiment), figures(hit, args.experiment)
    print(f"\n{'':36}{'undisturbed':>14}{'disturbed':>14}")
    for name in columns[0]:
        print(f"{name:36}" + "".join(f"{column[name]:>14}" for column in columns))
    same = [equal(one, other) for one, other in zip(calm.states, hit.states, strict=True)]
    args.picture.write_text(draw(args.experiment, calm, hit))
    print(f"\n{sum(same)} of {len(same)} regions are equal bit for bit; the picture is {args.picture}")
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
