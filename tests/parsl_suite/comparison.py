"""Two runs side by side, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from tests.parsl_suite.outcomes import Difference, Run
from tests.parsl_suite.promised import PROMISED

_OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed")
_FOUND = ("promised", "unsteady", "differ")
_TEXT = 1500


@dataclass
class Comparison:
    """The suite with one configuration, stock and with this package.

    Attributes:
        config: its name.
        stock: the stock run.
        ours: the run with this package.
        differ: tests that ended differently, both times that they were run, and are not promised to.
        unsteady: tests that ended differently at first, and alike when they were run once more.
        promised: tests that ended differently as they are meant to.
    """

    config: str
    stock: Run
    ours: Run
    differ: Sequence[Difference]
    unsteady: Sequence[Difference]
    promised: Sequence[Difference] = ()

    @staticmethod
    def table(comparisons: Iterable[Comparison]) -> str:
        """One row for each run, in Markdown."""
        head = ["configuration", "run", *_OUTCOMES, "seconds", *_FOUND, "processes left"]
        rows = [head, ["---"] * len(head), *chain.from_iterable(each._rows() for each in comparisons)]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)

    def _rows(self) -> list[list[str]]:
        return [
            [
                self.config,
                "stock",
                *_figures(self.stock),
                *[""] * len(_FOUND),
                str(len(self.stock.survivors)),
            ],
            [
                "",
                "resilient",
                *_figures(self.ours),
                *(str(len(getattr(self, each))) for each in _FOUND),
                str(len(self.ours.survivors)),
            ],
        ]

    def details(self) -> str:
        """What differs, and what was left behind."""
        lines = [f"\n{self.config}: executors {dict(self.stock.executors)} -> {dict(self.ours.executors)}"]
        lines += [f"as promised: {each.test}: {PROMISED[each.test]}" for each in self.promised]
        for title, found in (("differs", self.differ), ("unsteady", self.unsteady)):
            for each in found:
                lines += [f"{title}: {each.test}: {each.stock} -> {each.ours}", each.text[-_TEXT:]]
        lines += self._leftovers()
        return "\n".join(lines)

    def _leftovers(self) -> list[str]:
        lines = [f"still there after the stock run: {each}" for each in self.stock.survivors]
        lines += [f"still there after the resilient run: {each}" for each in self.ours.survivors]
        for module in sorted({*self.stock.left, *self.ours.left}):
            was, now = self.stock.left.get(module, {}), self.ours.left.get(module, {})
            if _more(was, now):
                lines.append(f"left by {module}: {_shown(was)} -> {_shown(now)}")
        return lines


def _figures(run: Run) -> list[str]:
    return [*(str(run.count(each)) for each in _OUTCOMES), f"{run.seconds:.0f}"]


def _more(was: dict[str, object], now: dict[str, object]) -> bool:
    return any(_size(now.get(kind)) > _size(was.get(kind)) for kind in ("threads", "processes", "fds"))


def _size(left: object) -> int:
    return len(left) if isinstance(left, list) else left if isinstance(left, int) else 0


def _shown(left: dict[str, object]) -> str:
    return ", ".join(f"{kind} {each}" for kind, each in left.items() if each) or "nothing"
