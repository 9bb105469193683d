"""What came of each test, read from a record, and where two runs differ."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PASSED = "passed"
UNFINISHED = "unfinished"  # it was set up, and then its process ended


@dataclass
class Run:
    """One run of the suite.

    Attributes:
        outcomes: by test: passed, skipped, xfailed, failed, error, or unfinished.
        texts: what was printed of those that did not pass.
        seconds: in all of its tests.
        left: threads, processes and open files that modules of tests have left behind them, by module.
        survivors: processes that were there when the run was over.
        executors: classes of the executors that tests have loaded, with how often.
    """

    outcomes: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    left: dict[str, dict[str, Any]] = field(default_factory=dict)
    survivors: list[str] = field(default_factory=list)
    executors: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> Run:
        """A run from its record."""
        run = cls()
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if "test" in line:
                run._take(line)
            elif "module" in line:
                run.left[line["module"]] = line["left"]
            elif "loaded" in line:
                run.executors.update(line["loaded"])
        return run

    def _take(self, line: dict[str, Any]) -> None:
        test, outcome = line["test"], line["outcome"]
        self.seconds += line.get("seconds", 0.0)
        if outcome == "failed" and line["phase"] != "call":
            outcome = "error"
        if outcome != PASSED:
            self.outcomes[test] = outcome
        elif self.outcomes.get(test, UNFINISHED) == UNFINISHED:
            self.outcomes[test] = UNFINISHED if line["phase"] == "setup" else PASSED
        if outcome not in {PASSED, "skipped"}:
            self.texts[test] = line["text"]

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(each == outcome for each in self.outcomes.values())


@dataclass(frozen=True)
class Difference:
    """A test that ended in one way in stock Parsl and in another with this package."""

    test: str
    stock: str
    ours: str
    text: str


def differences(stock: Run, ours: Run) -> list[Difference]:
    """Tests that did not end alike, in the order of their names."""
    return [
        Difference(test, was, now, ours.texts.get(test) or stock.texts.get(test, ""))
        for test in sorted({*stock.outcomes, *ours.outcomes})
        if (was := stock.outcomes.get(test, "not run")) != (now := ours.outcomes.get(test, "not run"))
    ]
