"""The campaign from start to end: trials out, answers in, nothing left behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as FuturesTimeout
from concurrent.futures import as_completed
from typing import Any, TypeAlias

import msgspec
import parsl
from parsl import Config

from parsl_diaspora.testing.campaign.digits import FOLDS, Trial, grid, submit
from parsl_diaspora.testing.shutdown import Shutdown, shut_down

WAVES = ((0, 1), (2,))


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One trial has ended: what the campaign tells whoever watches.

    Attributes:
        trial: which one.
        score: its accuracy, 0 to 1; None if it failed.
        error: what it failed with; None if it did not.
        done: how many of ``total`` have ended, this one included.
        elapsed: seconds since the campaign began.
    """

    trial: Trial
    score: float | None
    error: str | None
    done: int
    total: int
    elapsed: float

    @property
    def fraction(self) -> float:
        """Share of the campaign that is done, 0 to 1."""
        return self.done / self.total


Watcher: TypeAlias = Callable[[Step], None]


class CampaignResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a campaign.

    Attributes:
        scores: accuracy of each trial that succeeded, 0 to 1.
        failures: text of the exception of each trial that failed.
        unfinished: trials that had no answer at the deadline.
        seconds: from the start of the pools to the last answer, or to the deadline.
        shutdown: how Parsl ended, and what it left running.
    """

    scores: dict[Trial, float]
    failures: dict[Trial, str]
    unfinished: tuple[Trial, ...]
    seconds: float
    shutdown: Shutdown

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """Classifiers that have a score for each fold, with their mean accuracy, best first."""
        folds: dict[str, list[float]] = {}
        for trial, score in sorted(self.scores.items(), key=lambda item: item[0].name):
            folds.setdefault(trial.classifier, []).append(score)
        means = [(name, sum(scores) / FOLDS) for name, scores in folds.items() if len(scores) == FOLDS]
        return sorted(means, key=lambda entry: (-entry[1], entry[0]))

    @property
    def best(self) -> tuple[str, float] | None:
        """The best classifier and its mean accuracy; None if no classifier has all its folds."""
        return next(iter(self.ranking), None)


def run_campaign(
    config: Config,
    seed: int,
    *,
    mark: str,
    on_progress: Watcher | None = None,
    deadline: float | None = None,
    trials: Iterable[Trial] | None = None,
) -> CampaignResult:
    """Load the configuration, run all trials, and leave nothing behind.

    Two folds screen the classifiers, then the third confirms: a wave starts when the one before has ended,
    so the pools fall idle in between. Sets the global random generator: Parsl picks the site of a trial
    with it.

    Args:
        config: from `site_config`, as it is or made resilient.
        seed: decides the order of the trials, and their sites as far as Parsl picks them.
        mark: the token that the configuration was made with.
        on_progress: called after each trial, in this thread.
        deadline: seconds after which trials without an answer are given up; never if None.
        trials: which ones; the whole grid if None.
    """
    began = time.monotonic()
    order = list(grid() if trials is None else trials)
    random.Random(seed).shuffle(order)
    kernel = parsl.load(config)
    run = _Run(len(order), began, None if deadline is None else began + deadline, on_progress)
    try:
        random.seed(seed)
        for folds in WAVES:
            run.wave([trial for trial in order if trial.fold in folds])
        seconds = time.monotonic() - began
    finally:
        shutdown = shut_down(kernel, mark)
    ended = {step.trial for step in run.steps}
    return CampaignResult(
        scores={step.trial: step.score for step in run.steps if step.score is not None},
        failures={step.trial: step.error for step in run.steps if step.error is not None},
        unfinished=tuple(trial for trial in order if trial not in ended),
        seconds=seconds,
        shutdown=shutdown,
    )


class _Run:
    """Collects the trials of a campaign, wave by wave, until a deadline."""

    def __init__(self, total: int, began: float, until: float | None, watcher: Watcher | None) -> None:
        self.steps: list[Step] = []
        self._total = total
        self._began = began
        self._until = until
        self._watcher = watcher

    def wave(self, trials: Iterable[Trial]) -> None:
        """Start these trials and take their answers as they come."""
        futures = {submit(trial): trial for trial in trials}
        remaining = None if self._until is None else max(0.0, self._until - time.monotonic())
        try:
            for future in as_completed(futures, timeout=remaining):
                self._take(futures[future], future)
        except FuturesTimeout:
            pass  # stock Parsl can lose a task without a word: what is missing is reported as unfinished

    def _take(self, trial: Trial, future: Any) -> None:
        error = future.exception()
        step = Step(
            trial=trial,
            score=None if error else future.result(),
            error=f"{type(error).__name__}: {error}" if error else None,
            done=len(self.steps) + 1,
            total=self._total,
            elapsed=time.monotonic() - self._began,
        )
        self.steps.append(step)
        if self._watcher is not None:
            self._watcher(step)
