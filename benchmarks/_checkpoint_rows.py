"""What the checkpoint benchmark prints: rows with a figure, what it stands beside, and its goal."""

from __future__ import annotations

from typing import NamedTuple

from _tables import print_table

#: What one part found and another one needs.
Measured = dict[str, float]

HEAD = ("figure", "beside", "ours", "ratio", "goal", "")


class Sizes(NamedTuple):
    """How much work the measurements do.

    Attributes:
        state: bytes of the state that is saved.
        rounds: of each measurement.
        task: seconds of the real task that is killed, and of the one whose overhead is measured.
        task_state: bytes of the state of those.
        tasks: that are killed, with checkpoints and as many without.
        hours: simulated tasks of an hour.
        dirty: bytes a second that the state changes while it is migrated.
    """

    state: int = 1_000_000_000
    rounds: int = 5
    task: float = 300.0
    task_state: int = 64_000_000
    tasks: int = 2
    hours: int = 2_000
    dirty: int = 20_000_000


SMALL = Sizes(state=16_000_000, rounds=2, task=4.0, task_state=1_000_000, tasks=1, hours=50, dirty=2_000_000)


class Row(NamedTuple):
    """One figure.

    Attributes:
        figure: what it is.
        beside: what it is measured against, in words with its value.
        ours: the value in words.
        ratio: of ours to that.
        goal: of the ratio; None where there is none.
        at_least: whether more is better.
    """

    figure: str
    beside: str
    ours: str
    ratio: float
    goal: float | None = None
    at_least: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    def cells(self) -> list[str]:
        """As it is printed."""
        words = "" if self.goal is None else f"{'at least' if self.at_least else 'at most'} {self.goal:g}"
        met = {None: "", True: "met", False: "MISSED"}[self.is_met]
        return [self.figure, self.beside, self.ours, f"{self.ratio:.3g}", words, met]


def print_rows(rows: list[Row]) -> None:
    """All rows as one table."""
    print_table(HEAD, [row.cells() for row in rows])


def seconds(value: float) -> str:
    """A span of time in the unit that suits it."""
    return f"{value * 1e3:.3g} ms" if value < 1.0 else f"{value:.3g} s"


def megabytes(value: float) -> str:
    """Bytes in words."""
    return f"{value / 1e6:,.4g} MB"
