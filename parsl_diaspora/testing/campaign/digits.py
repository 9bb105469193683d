"""Which classifier reads handwritten digits best? A search over three families, as a Parsl program.

The data are the 1797 scanned digits that come with scikit-learn. Each trial trains one classifier on two
thirds of them and returns its accuracy on the last third. Two sites take part: *alder* has four workers and
the module ``strokes``; *birch* has two workers and lacks it, as happens when a site's environment lags
behind. Stock Parsl picks a site at random for each trial, so trials that need ``strokes`` fail on birch.

Scores depend on the trial alone, not on where, when or how often it ran.
"""

from __future__ import annotations

import inspect
import itertools
import os
import random
import shutil
import sys
import sysconfig
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import TimeoutError as FuturesTimeout
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import parsl
from parsl import Config, HighThroughputExecutor, python_app
from parsl.providers import LocalProvider

from parsl_diaspora.testing.processes import Shutdown, shut_down, worker_init

FOLDS = 3
SITE_MODULES = Path(__file__).with_name("site_modules")

GRID: dict[str, dict[str, tuple[float, ...]]] = {
    "forest": {"trees": (60, 100, 150, 200), "features": (4, 6, 8, 12), "random_state": (17,)},
    "svm": {"cost": (1, 3, 10, 30), "gamma": (0.0001, 0.0002, 0.0005, 0.001)},
    "strokes": {"cost": (1, 3, 10, 30), "bins": (4, 6, 8, 12)},
}


class Trial(msgspec.Struct, frozen=True):
    """One training run: a family of classifiers, its settings, and the third of the data that is held back.

    Attributes:
        family: a key of ``GRID``.
        settings: name and value of each setting, in the order of the grid.
        fold: which third of the digits tests, counted from 0.
    """

    family: str
    settings: tuple[tuple[str, float], ...]
    fold: int

    @property
    def classifier(self) -> str:
        """Family and settings as words; the trials of all folds share it."""
        return " ".join([self.family, *(f"{name}={value:g}" for name, value in self.settings)])

    @property
    def name(self) -> str:
        """The whole trial as words; unique in the grid."""
        return f"{self.classifier} fold={self.fold}"


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


# ------------------------------------------------------------------ the science


def grid() -> list[Trial]:
    """Every trial of the campaign, in a fixed order.

    Example:
        >>> len(grid())
        144
        >>> grid()[0].name
        'forest trees=60 features=4 random_state=17 fold=0'
    """
    return [
        Trial(family, tuple(zip(settings, values, strict=True)), fold)
        for family, settings in GRID.items()
        for values in itertools.product(*settings.values())
        for fold in range(FOLDS)
    ]


@python_app
def forest(fold: int, trees: int, features: int, random_state: int) -> float:
    """Accuracy of a random forest on bare pixels."""
    from sklearn.ensemble import RandomForestClassifier

    train, labels, test, truth = split(fold)
    model = RandomForestClassifier(trees, max_features=features, random_state=random_state, n_jobs=1)
    return float(model.fit(train, labels).score(test, truth))


@python_app
def svm(fold: int, cost: float, gamma: float) -> float:
    """Accuracy of a support vector machine that has also seen each digit shifted to either side."""
    from sklearn.svm import SVC

    train, labels, test, truth = split(fold)
    model = SVC(C=cost, gamma=gamma).fit(*with_shifts(train, labels))
    return float(model.score(test, truth))


@python_app
def strokes(fold: int, cost: float, bins: int) -> float:
    """Accuracy of a logistic regression on stroke features, from the module that only one site has."""
    from sklearn.linear_model import LogisticRegression
    from strokes import features  # type: ignore[import-not-found]  # only at one site

    train, labels, test, truth = split(fold)
    train, labels = with_shifts(train, labels)
    model = LogisticRegression(C=cost, max_iter=1000).fit(features(train, bins), labels)
    return float(model.score(features(test, bins), truth))


APPS: dict[str, Any] = {"forest": forest, "svm": svm, "strokes": strokes}


def split(fold: int) -> tuple[Any, Any, Any, Any]:
    """Training digits and their labels, test digits and theirs; digits have shape (n, 64), ink 0 to 16."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold

    digits, labels = load_digits(return_X_y=True)
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(digits, labels)
    train, test = list(parts)[fold]
    return digits[train], labels[train], digits[test], labels[test]


def with_shifts(digits: Any, labels: Any) -> tuple[Any, Any]:
    """The digits, and each once more one pixel to the left and to the right: three times as many."""
    import numpy as np

    images = np.pad(digits.reshape(-1, 8, 8), ((0, 0), (0, 0), (1, 1)))
    shifted = [images[:, :, start : start + 8] for start in (1, 0, 2)]
    return np.concatenate(shifted).reshape(-1, 64), np.tile(labels, 3)


def submit(trial: Trial) -> Any:
    """Start a trial on Parsl; its future."""
    return APPS[trial.family](trial.fold, **dict(trial.settings))


def evaluate(trial: Trial) -> float:
    """Run a trial here and now, without Parsl; its accuracy, 0 to 1.

    Raises:
        ModuleNotFoundError: the trial needs ``strokes``, and ``SITE_MODULES`` is not on the path.
    """
    bare = inspect.unwrap(APPS[trial.family].func)  # Parsl's own wrapper returns what it should raise
    return float(bare(trial.fold, **dict(trial.settings)))


# ------------------------------------------------------------------ the sites


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a site has to offer: blocks, workers in each, and directories with modules of its own."""

    blocks: int
    workers: int
    modules: tuple[Path, ...] = ()


SITES = {
    "alder": Site(blocks=2, workers=2, modules=(SITE_MODULES,)),
    "birch": Site(blocks=1, workers=2),
}


def new_mark() -> str:
    """A token that no other run has."""
    return f"digits-{uuid.uuid4().hex[:12]}"


def site_config(
    sites: Sequence[str] = ("alder", "birch"),
    *,
    mark: str,
    run_dir: str | Path = "runinfo",
    retries: int = 0,
    healthy: bool = False,
) -> Config:
    """A stock Parsl configuration: one executor for each site, on this host's loopback interface.

    Args:
        sites: keys of ``SITES``.
        mark: token of the run, which all its workers carry; :func:`new_mark` makes one.
        run_dir: where Parsl writes its logs.
        retries: how often Parsl tries a failed trial again, at the site where it failed.
        healthy: let every site have ``strokes``, for a run without faults.

    Returns:
        A configuration for one run: Parsl's executors cannot be used twice.

    Raises:
        KeyError: there is no such site.

    Example:
        >>> [executor.label for executor in site_config(mark="run-7").executors]
        ['alder', 'birch']
    """
    return Config(
        executors=[
            _executor(name, _site(name, healthy=healthy), mark, number) for number, name in enumerate(sites)
        ],
        run_dir=str(run_dir),
        retries=retries,
        strategy="none",
        strategy_period=0.5,
    )


def _site(name: str, *, healthy: bool) -> Site:
    site = SITES[name]
    return msgspec.structs.replace(site, modules=(SITE_MODULES,)) if healthy else site


def _executor(name: str, site: Site, mark: str, number: int) -> HighThroughputExecutor:
    port, size = _first_port(mark) + 60 * number, site.blocks
    marked = worker_init(mark, name, _environment(site))
    return HighThroughputExecutor(
        label=name,
        address="127.0.0.1",
        encrypted=True,
        worker_port_range=(port, port + 20),
        interchange_port_range=(port + 20, port + 60),
        interchange_launch_cmd=_interchange(),
        heartbeat_period=1,
        heartbeat_threshold=8,
        max_workers_per_node=site.workers,
        cores_per_worker=0.01,  # these small hosts are shared on purpose
        provider=LocalProvider(init_blocks=size, min_blocks=size, max_blocks=size, worker_init=marked),
    )


def _environment(site: Site) -> dict[str, str]:
    """One thread for each worker, the site's modules, and this very Python, activated or not."""
    paths = [*map(str, site.modules), *_package_root(), *_path("PYTHONPATH")]
    return {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), *_path("PATH")]),
        "PYTHONPATH": os.pathsep.join(paths),
    }


def _path(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def _package_root() -> list[str]:
    """Where workers find this package when it runs from a checkout; nothing when it is installed."""
    return [root] if (root := str(Path(__file__).parents[3])) != sysconfig.get_path("purelib") else []


def _interchange() -> list[str] | None:
    """How to start the interchange if its script is not on PATH; None if Parsl's own way will do."""
    here = [sys.executable, str(Path(sysconfig.get_path("scripts"), "interchange.py"))]
    return None if shutil.which("interchange.py") else here


def _first_port(mark: str) -> int:
    """A run's own range, below the ports that the kernel hands out, so that one run never meets another."""
    return 20_000 + zlib.crc32(mark.encode()) % 80 * 150


# ------------------------------------------------------------------ the run


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

    Sets the global random generator: Parsl picks the site of a trial with it.

    Args:
        config: from :func:`site_config`, as it is or made resilient.
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
    try:
        random.seed(seed)
        futures = {submit(trial): trial for trial in order}
        steps = _collect(futures, began, deadline, on_progress)
        seconds = time.monotonic() - began
    finally:
        shutdown = shut_down(kernel, mark)
    ended = {step.trial for step in steps}
    return CampaignResult(
        scores={step.trial: step.score for step in steps if step.score is not None},
        failures={step.trial: step.error for step in steps if step.error is not None},
        unfinished=tuple(trial for trial in order if trial not in ended),
        seconds=seconds,
        shutdown=shutdown,
    )


def _collect(
    futures: dict[Any, Trial], began: float, deadline: float | None, on_progress: Watcher | None
) -> list[Step]:
    steps: list[Step] = []
    remaining = None if deadline is None else max(0.0, began + deadline - time.monotonic())
    try:
        for future in as_completed(futures, timeout=remaining):
            error = future.exception()
            step = Step(
                trial=futures[future],
                score=None if error else future.result(),
                error=f"{type(error).__name__}: {error}" if error else None,
                done=len(steps) + 1,
                total=len(futures),
                elapsed=time.monotonic() - began,
            )
            steps.append(step)
            if on_progress is not None:
                on_progress(step)
    except FuturesTimeout:
        pass  # stock Parsl can lose a task without a word: what is missing is reported as unfinished
    return steps
