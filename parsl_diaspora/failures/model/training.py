"""Training: logistic regression over tokens by scikit-learn, calibrated on origins that it has not seen."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import Any

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.failures.model.corpus import Example
from parsl_diaspora.failures.model.features import tokens
from parsl_diaspora.failures.model.quality import Confusion
from parsl_diaspora.failures.model.weights import Weights, pack_row, taxonomy_version

FOLDS = 5
FEWEST = 2
MOST_TOKENS = 3_500
STRENGTH = 30.0
LARGEST = 127
#: Of guesses above the bar so many shall be right, where origins are new.
RIGHT = 0.85
_SEED = 7
_SHARPNESSES = (0.25, 0.35, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
_BARS = tuple(round(0.3 + 0.05 * number, 2) for number in range(13))


def train(examples: Sequence[Example], *, data: str = "") -> Weights:
    """Learn from examples.

    Args:
        examples: of at least two classes.
        data: what they are, in words.

    Raises:
        SettingsError: there are too few of them, or scikit-learn is not installed.
    """
    _need_sklearn()
    labels = [example.label for example in examples]
    classes = sorted(set(labels))
    if len(classes) < FEWEST:
        raise SettingsError(
            f"{len(examples)} examples of {len(classes)} classes are too few to learn from.",
            hint="Give logs of runs in which tasks failed, or files of labelled failures.",
        )
    bags = [tokens(example.failure, example.context) for example in examples]
    sharpness, bar, quality = _calibrate(bags, labels, [example.origin for example in examples], classes)
    vocabulary, importance = _vocabulary(bags)
    fitted = _fit(bags, labels, vocabulary, importance)
    step = max(abs(fitted.coef_.min()), abs(fitted.coef_.max())) / LARGEST
    rows = _rows(fitted, classes, vocabulary, step)
    return Weights(
        taxonomy=taxonomy_version(),
        classes=tuple(classes),
        tokens=rows,
        step=float(step),
        importance={token: round(importance[token], 3) for token in rows},
        base=tuple(round(float(value), 4) for value in _intercepts(fitted, len(classes))),
        sharpness=sharpness,
        bar=bar,
        trained=time.time(),
        data=data,
        quality=quality,
    )


def _need_sklearn() -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "Training needs scikit-learn, which is not installed here.",
            hint="Install it: pip install 'parsl-diaspora[model]'. Using a trained model does not need it.",
        ) from error


def _vocabulary(bags: Sequence[set[str]]) -> tuple[dict[str, int], dict[str, float]]:
    counts = Counter(token for bag in bags for token in bag)
    kept = sorted(
        (token for token, count in counts.items() if count >= FEWEST),
        key=lambda token: (-counts[token], token),
    )[:MOST_TOKENS]
    importance = {token: log((1 + len(bags)) / (1 + counts[token])) + 1 for token in kept}
    return {token: number for number, token in enumerate(kept)}, importance


def _matrix(bags: Sequence[set[str]], vocabulary: dict[str, int], importance: dict[str, float]) -> Any:
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.preprocessing import normalize

    rows, columns, values = [], [], []
    for row, bag in enumerate(bags):
        for token in bag:
            if token in vocabulary:
                rows.append(row)
                columns.append(vocabulary[token])
                values.append(importance[token])
    shape = (len(bags), len(vocabulary))
    return normalize(csr_matrix((np.array(values, dtype=float), (rows, columns)), shape=shape))


def _fit(
    bags: Sequence[set[str]],
    labels: Sequence[str],
    vocabulary: dict[str, int],
    importance: dict[str, float],
) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=STRENGTH, max_iter=500, tol=1e-3, class_weight="balanced", random_state=_SEED
    )
    return model.fit(_matrix(bags, vocabulary, importance), labels)


def _intercepts(fitted: Any, classes: int) -> list[float]:
    both = list(fitted.intercept_)
    return both if len(both) == classes else [-both[0], both[0]]


def _rows(fitted: Any, classes: Sequence[str], vocabulary: dict[str, int], step: float) -> dict[str, str]:
    table = fitted.coef_ if len(fitted.coef_) == len(classes) else [-fitted.coef_[0], fitted.coef_[0]]
    rows = {}
    for token, column in sorted(vocabulary.items()):
        numbers = [round(float(line[column]) / step) for line in table]
        if any(numbers):
            rows[token] = pack_row(numbers)
    return rows


def _calibrate(
    bags: Sequence[set[str]], labels: Sequence[str], origins: Sequence[str], classes: Sequence[str]
) -> tuple[float, float, dict[str, float]]:
    """Sharpness and bar such that confidence is honest where an origin was never seen in training."""
    import numpy as np

    folds = min(FOLDS, len(set(origins)))
    if folds < FEWEST:
        return 1.0, 0.5, {}
    scores = np.full((len(bags), len(classes)), -1e9)
    seen = np.zeros(len(bags), dtype=bool)
    for kept, left in _splits(labels, origins, folds):
        known = [labels[number] for number in kept]
        if len(set(known)) < FEWEST:
            continue
        kept_bags = [bags[number] for number in kept]
        vocabulary, importance = _vocabulary(kept_bags)
        fitted = _fit(kept_bags, known, vocabulary, importance)
        decided = fitted.decision_function(_matrix([bags[number] for number in left], vocabulary, importance))
        decided = decided if decided.ndim > 1 else np.stack([-decided, decided], axis=1)
        places = [list(classes).index(name) for name in fitted.classes_]
        scores[np.ix_(left, places)] = decided
        seen[left] = True
    truth = np.array([list(classes).index(label) for label in labels])
    return _choose(scores[seen], truth[seen], classes)


def _splits(labels: Sequence[str], origins: Sequence[str], folds: int) -> Any:
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    groups = [f"{label}/{origin}" for label, origin in zip(labels, origins, strict=True)]
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class with fewer origins than folds is fine here
        return list(splitter.split(labels, labels, groups))


def _choose(scores: Any, truth: Any, classes: Sequence[str]) -> tuple[float, float, dict[str, float]]:
    sharpness = min(_SHARPNESSES, key=lambda value: _surprise(scores * value, truth))
    chances = _softmax(scores * sharpness)
    best, sure = chances.argmax(axis=1), chances.max(axis=1)
    right = best == truth
    bar = next((b for b in _BARS if (sure >= b).any() and right[sure >= b].mean() >= RIGHT), _BARS[-1])
    told = [classes[b] if s >= bar else "unknown" for b, s in zip(best, sure, strict=True)]
    confusion = Confusion(zip((classes[t] for t in truth), told, strict=True))
    return (
        sharpness,
        bar,
        {
            "examples": float(len(truth)),
            "macro_f1_on_unseen_origins": round(confusion.macro_f1, 3),
            "told_on_unseen_origins": round(float((sure >= bar).mean()), 3),
            "right_where_told": round(float(right[sure >= bar].mean()), 3) if (sure >= bar).any() else 0.0,
        },
    )


def _softmax(scores: Any) -> Any:
    import numpy as np

    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _surprise(scores: Any, truth: Any) -> float:
    import numpy as np

    chances = _softmax(scores)[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(chances, 1e-3, 1)).mean())
