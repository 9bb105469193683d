"""What is measured: parts of figures, each with its goal, and how much work a measurement does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Measured = dict[str, float]


class Sizes(NamedTuple):
    """How much work one measurement does.

    Attributes:
        seconds: of appending, and of each half of a pair of loops.
        pairs: of loops, with and without publishing.
        events: from object to log, and read back.
        paced_seconds: of events at a given pace.
        large: bytes of the large log.
        small: bytes of the small log.
    """

    seconds: float = 0.25
    pairs: int = 8
    events: int = 150_000
    paced_seconds: float = 2.0
    large: int = 1_000_000_000
    small: int = 10_000_000


QUICK = Sizes(seconds=0.05, pairs=1, events=5_000, paced_seconds=0.2, large=5_000_000, small=1_000_000)


class Figure(NamedTuple):
    """One row.

    Attributes:
        key: under which a measurement gives it.
        title: what it is, with its unit.
        goal: of the embedded log, or of the relay.
        form: of its values.
        at_least: whether more is better.
        judged: the candidate that has the goal.
    """

    key: str
    title: str
    goal: float | None = None
    form: str = "{:,.0f}"
    at_least: bool = True
    judged: str = "file:"

    def is_met(self, value: float) -> bool:
        """Whether the goal is reached."""
        assert self.goal is not None
        return value >= self.goal if self.at_least else value <= self.goal

    def goal_in_words(self) -> str:
        """The goal with its direction; empty if there is none."""
        if self.goal is None:
            return ""
        return f"{'at least' if self.at_least else 'under'} {self.form.format(self.goal)}"


class Part(NamedTuple):
    """Figures that one measurement gives.

    Attributes:
        name: for ``--only``.
        title: above its table.
        candidates: that have such figures.
        measure: the candidate's name, a place of its own and the sizes to figures; any may be left out.
        figures: in their order.
        once: whether one round is enough.
    """

    name: str
    title: str
    candidates: tuple[str, ...]
    measure: Callable[[str, str, Sizes], Measured]
    figures: tuple[Figure, ...]
    once: bool = False
