"""Guessing the class of a failure: a sum of small numbers over its tokens, in pure Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import exp, sqrt
from pathlib import Path

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import Failure
from parsl_diaspora.failures.context import Context
from parsl_diaspora.failures.matching import Finding
from parsl_diaspora.failures.model.features import tokens
from parsl_diaspora.failures.model.weights import Weights, read_weights
from parsl_diaspora.failures.taxonomy import current_name

SHIPPED = Path(__file__).with_name("shipped.json")
RULE = "model"
OFF = "off"
_SHOWN = 4


class LearnedModel:
    """A trained model, ready to guess; given to `Diagnoser` as its ``model``.

    Args:
        weights: what was learned.

    Example:
        >>> guess = shipped()(Failure(message="no space left on the device: disk is full"), Context())
        >>> guess.failure_class
        'disk_full'
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.classes = tuple(map(current_name, weights.classes))
        self._rows = weights.rows()

    def __call__(self, failure: Failure, context: Context) -> Finding | None:
        """The class that it takes for the likeliest; None if it is not sure enough of any."""
        known = self._known(failure, context)
        chances = self._chances(known)
        confidence = max(chances)
        if not known or confidence < self.weights.bar:
            return None
        best = chances.index(confidence)
        words = ", ".join(repr(token) for token in self._telling(known, best))
        return Finding(RULE, self.classes[best], round(confidence, 3), f"learned from words: {words}", "")

    def chances(self, failure: Failure, context: Context) -> dict[str, float]:
        """How likely it takes each class to be."""
        return dict(zip(self.classes, self._chances(self._known(failure, context)), strict=True))

    def _known(self, failure: Failure, context: Context) -> dict[str, float]:
        """The tokens that it knows, by their share in the whole."""
        importance, rows = self.weights.importance, self._rows
        found = {token: importance[token] for token in tokens(failure, context) if token in rows}
        length = sqrt(sum(value * value for value in found.values())) or 1.0
        return {token: value / length for token, value in found.items()}

    def _chances(self, known: dict[str, float]) -> list[float]:
        scores = [0.0] * len(self.classes)
        for token, share in known.items():
            for number, weight in enumerate(self._rows[token]):
                if weight:
                    scores[number] += weight * share
        step, sharpness = self.weights.step, self.weights.sharpness
        raised = [
            sharpness * (score * step + base) for score, base in zip(scores, self.weights.base, strict=True)
        ]
        top = max(raised)
        parts = [exp(score - top) for score in raised]
        total = sum(parts)
        return [part / total for part in parts]

    def _telling(self, known: dict[str, float], best: int) -> list[str]:
        gains = sorted(
            ((share * self._rows[token][best], token) for token, share in known.items()), reverse=True
        )
        return [token for gain, token in gains[:_SHOWN] if gain > 0]


@cache
def shipped() -> LearnedModel:
    """The model that comes with this package, read once.

    Raises:
        SettingsError: its file is missing, damaged or stale.
    """
    return LearnedModel(read_weights(SHIPPED))


def model_for(path: str, report: Callable[[str, BaseException], None]) -> LearnedModel | None:
    """The model that a program asks for; None, and a report of it, where it cannot be had.

    Args:
        path: of a file; empty for the one that comes with this package, ``off`` for none.
        report: told which part has a fault, and which. The run goes on: what no rule names is `unknown` then.

    Example:
        >>> model_for("nowhere.json", lambda part, fault: print(part))
        model of failures
    """
    if path == OFF:
        return None
    try:
        return LearnedModel(read_weights(Path(path))) if path else shipped()
    except SettingsError as fault:
        report("model of failures", fault)
        return None
