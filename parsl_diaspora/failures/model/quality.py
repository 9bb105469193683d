"""How often a diagnosis is right: counts by class, precision, recall and F1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from parsl_diaspora.failures.diagnosis import CERTAIN, Diagnoser
from parsl_diaspora.failures.matching import FailureRules
from parsl_diaspora.failures.model.corpus import Example

UNKNOWN = "unknown"
#: Classes that only say that nothing more is known.
NO_MORE = (UNKNOWN, "application")
Tell = Callable[[Example], str]


class Score(msgspec.Struct, frozen=True):
    """How one class came out.

    Attributes:
        name: of the class.
        examples: that are of it.
        precision: part of those that were said to be of it and are.
        recall: part of those that are of it and were said to be.
    """

    name: str
    examples: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where nothing was right."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


class Confusion:
    """Which classes were said of which.

    Args:
        pairs: the true class and the one that was said, for each example.

    Example:
        >>> Confusion([("memory", "memory"), ("memory", "unknown")]).scores()[0].recall
        0.5
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.counts = Counter(pairs)

    @property
    def classes(self) -> list[str]:
        """The classes that examples are of."""
        return sorted({true for true, _ in self.counts})

    def scores(self) -> list[Score]:
        """How each class of the examples came out."""
        said: Counter[str] = Counter()
        there: Counter[str] = Counter()
        for (true, told), count in self.counts.items():
            said[told] += count
            there[true] += count
        return [
            Score(
                name,
                there[name],
                self.counts[name, name] / said[name] if said[name] else 0.0,
                self.counts[name, name] / there[name],
            )
            for name in self.classes
        ]

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes of the examples, each counted alike."""
        scores = self.scores()
        return sum(score.f1 for score in scores) / len(scores) if scores else 0.0

    @property
    def accuracy(self) -> float:
        """Part of the examples that were told rightly."""
        total = sum(self.counts.values())
        right = sum(count for (true, told), count in self.counts.items() if true == told)
        return right / total if total else 0.0

    @property
    def wrong(self) -> float:
        """Part of the examples of which a wrong class was said; none of `NO_MORE` counts as wrong."""
        total = sum(self.counts.values())
        bad = sum(count for (true, told), count in self.counts.items() if told not in (true, *NO_MORE))
        return bad / total if total else 0.0


def judge(tell: Tell, examples: Sequence[Example]) -> Confusion:
    """Hold what is told of examples against their labels."""
    return Confusion((example.label, tell(example)) for example in examples)


def by_certain_rules(rules: FailureRules | None = None) -> Tell:
    """What rules tell that are certain; unknown where none is."""
    diagnoser = Diagnoser(rules)

    def tell(example: Example) -> str:
        found = diagnoser.find(example.failure, example.context)
        return found.failure_class if found.confidence >= CERTAIN else UNKNOWN

    return tell


def by(diagnoser: Diagnoser) -> Tell:
    """What a diagnoser tells, with all that it has."""
    return lambda example: diagnoser.find(example.failure, example.context).failure_class


def by_model(diagnoser: Diagnoser) -> Tell:
    """What a diagnoser's model tells alone."""

    def tell(example: Example) -> str:
        guess = diagnoser.model(example.failure, example.context) if diagnoser.model else None
        return guess.failure_class if guess is not None else UNKNOWN

    return tell
