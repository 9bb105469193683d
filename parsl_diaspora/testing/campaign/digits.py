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
import random
from typing import Any

import msgspec
from parsl import python_app

FOLDS = 3

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


def some(count: int) -> list[Trial]:
    """So many trials of the grid, picked at random but always the same.

    Example:
        >>> sorted({trial.family for trial in some(12)})
        ['forest', 'strokes', 'svm']
    """
    every = grid()
    return [every[number] for number in sorted(random.Random(0).sample(range(len(every)), count))]


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
