"""What the ptychography example tells of its two runs: a table, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ptychography_model import Experiment, align, distance, sample, stitch
from ptychography_picture import Chart, Line, page

from parsl_diaspora.events import CheckpointRestored, CheckpointSaved, Event, MigrationDone

State = dict[str, Any]


class Visit(NamedTuple):
    """A task has done a step."""

    time: float
    region: int
    attempt: int
    step: int


class Happened(NamedTuple):
    """Something was done to the run, at seconds of the epoch."""

    time: float
    what: str


class Outcome(NamedTuple):
    """What came of a run.

    Attributes:
        states: of the regions, at their end.
        began: seconds of the epoch.
        seconds: that it took.
        trail: all steps that were done, also in vain.
        left: processes that it left behind.
        happened: what was done to it.
        events: what it told of itself; stock Parsl tells nothing.
    """

    states: list[State]
    began: float
    seconds: float
    trail: list[Visit]
    left: int
    happened: Sequence[Happened] = ()
    events: Sequence[Event] = ()


def read_trail(directory: Path) -> list[Visit]:
    """What the tasks wrote down so far, in order of time."""
    visits = []
    for path in directory.glob("region-*"):
        region = int(path.name.partition("-")[2])
        lines = path.read_text().split("\n")[:-1]  # the last one may be on its way
        words = [line.split() for line in lines]
        visits += [Visit(float(at), region, int(attempt), int(step)) for at, attempt, step in words]
    return sorted(visits)


def done(trail: Sequence[Visit], experiment: Experiment, steps: int) -> float:
    """Part of all steps that has been done, each counted once."""
    return len({(visit.region, visit.step) for visit in trail}) / (experiment.regions * steps)


def equal(one: State, other: State) -> bool:
    """Whether two states are the same, to the last bit."""
    return one.keys() == other.keys() and all(
        np.asarray(one[name]).tobytes() == np.asarray(other[name]).tobytes() for name in one
    )


def figures(outcome: Outcome, experiment: Experiment) -> dict[str, str]:
    """What is printed of a run."""
    whole, seen = stitch(experiment, outcome.states)
    visits = len(outcome.trail)
    saves = [event for event in outcome.events if isinstance(event, CheckpointSaved)]
    moves = [event for event in outcome.events if isinstance(event, MigrationDone)]
    last = [state["errors"][-1] for state in outcome.states]
    return {
        "seconds": f"{outcome.seconds:.1f}",
        "steps done": str(visits),
        "steps done again": str(visits - len({(each.region, each.step) for each in outcome.trail})),
        "tries that came to a step": str(len({(each.region, each.attempt) for each in outcome.trail})),
        "saves": str(len(saves)),
        "  with which a task left its place": str(sum(save.final for save in saves)),
        "  that a task went on from": str(
            sum(isinstance(each, CheckpointRestored) for each in outcome.events)
        ),
        "seconds nobody worked in the move": ", ".join(f"{each.downtime:.3f}" for each in moves) or "-",
        "misfit of the patterns": f"{np.mean(last):.6f}",
        "distance from the true sample": f"{distance(whole, sample(experiment), seen):.6f}",
        "processes left behind": str(outcome.left),
    }


def draw(experiment: Experiment, calm: Outcome, hit: Outcome) -> str:
    """The error curves, the steps over time, and the sample as it was found, as an SVG file."""
    errors = [
        Line(f"region {n}", range(1, len(s["errors"]) + 1), s["errors"]) for n, s in enumerate(hit.states)
    ]
    marks = [(each.time - hit.began, each.what) for each in hit.happened]
    whole, seen = stitch(experiment, hit.states)
    truth = sample(experiment)
    lit = np.where(seen > 0.1 * seen.max(), 1.0, 0.0)
    found = align(whole, truth, lit)
    return page(
        [
            Chart("Misfit of the patterns", "step", errors, logarithmic=True),
            Chart("Steps done, disturbed", "seconds", steps_over_time(hit, experiment), marks=marks),
            Chart("Steps done, undisturbed", "seconds", steps_over_time(calm, experiment)),
        ],
        [
            ("Phase, reconstructed while disturbed", np.angle(found) * lit),
            ("Phase of the true sample", np.angle(truth) * lit),
            ("Difference from the undisturbed one", np.abs(whole - stitch(experiment, calm.states)[0])),
        ],
    )


def steps_over_time(outcome: Outcome, experiment: Experiment) -> list[Line]:
    """A line for each region, with a gap where one try ends and the next begins."""
    lines = []
    for region in range(experiment.regions):
        across, up, attempt = [], [], None
        for visit in outcome.trail:
            if visit.region == region:
                if attempt not in {None, visit.attempt}:
                    across.append(visit.time - outcome.began)
                    up.append(float("nan"))
                across.append(visit.time - outcome.began)
                up.append(float(visit.step))
                attempt = visit.attempt
        lines.append(Line(f"region {region}", across, up))
    return lines
