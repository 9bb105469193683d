"""Runs the campaign in a process of its own, kills what it runs on, and watches its memory."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from parsl_diaspora.testing.chaos import Chaos, Fault
from parsl_diaspora.testing.processes import find, sweep
from tests.soak.outages import Outages

ROOT = Path(__file__).parents[2]
HOURS = 1800.0  # seconds after which a campaign has hung
_ports = itertools.count(35_000 + os.getpid() % 50 * 200, 10_000)


class Campaign:
    """One campaign.

    Args:
        directory: for all that it writes.
        seed: decides everything that is left to chance.
        tasks: how many.
        fabric: where its events go.
        seconds: shortest and longest task.
    """

    def __init__(
        self,
        directory: Path,
        seed: int,
        tasks: int,
        fabric: str,
        seconds: tuple[float, float] = (0.5, 3.0),
    ) -> None:
        self.directory, self.seed, self.tasks, self.fabric = directory, seed, tasks, fabric
        self.mark = f"soak-{os.getpid()}-{seed}-{directory.name}"[:60]
        self.kills: Counter[str] = Counter()
        self.memory: list[tuple[float, int]] = []  # share done, MB of the program
        self.seconds = 0.0
        plan = {
            "tasks": tasks,
            "seed": seed,
            "seconds": seconds,
            "window": 40,
            "mark": self.mark,
            "fabric": fabric,
            "directory": str(directory),
            "port": next(_ports),
        }
        (directory / "plan.json").write_text(json.dumps(plan))

    def run(self, faults: dict[str, int], services: dict[str, Any] | None = None) -> None:
        """Run it under faults: how many of each kind of `Chaos`, of ``interchange``, and of each service."""
        of_chaos = {kind: count for kind, count in faults.items() if kind.startswith("kill_")}
        others = {name: count for name, count in faults.items() if name not in of_chaos}
        began = time.monotonic()
        with (self.directory / "program.log").open("wb") as log:
            program = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.campaign", str(self.directory / "plan.json")],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        plan = _plan(self.seed, of_chaos)
        outages = Outages(self.seed + 1, program.pid, services or {}, others)
        try:
            with Chaos(self.seed, self.mark, plan, patience=20.0) as chaos:
                self._watch(program, chaos, outages)
            self.kills += outages.kills
            self.kills.update(record.kind for record in chaos.records if record.pid)
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
            self.seconds = time.monotonic() - began
            self.left = self._left_after(30.0)
            sweep(self.mark)
        assert program.returncode == 0, self.says()

    def outcomes(self) -> dict[int, str]:
        """How each task ended, by number."""
        try:
            lines = (self.directory / "outcomes").read_text().splitlines()
        except FileNotFoundError:
            return {}
        return dict(json.loads(line) for line in lines if line.endswith("]"))

    def progress(self) -> float:
        """The share of tasks that have ended."""
        return len(self.outcomes()) / self.tasks

    def end(self) -> dict[str, Any]:
        """What the program said of itself when it had ended."""
        return dict(json.loads((self.directory / "end.json").read_text()))

    def says(self) -> str:
        """The last words of the program."""
        return (self.directory / "program.log").read_text()[-3000:]

    def growth(self) -> int:
        """MB that the program has grown in the second half."""
        halves = [[mb for share, mb in self.memory if low <= share < low + 0.2] for low in (0.4, 0.8)]
        before, after = (sorted(half)[len(half) // 2] for half in halves)
        return after - before

    def _watch(self, program: subprocess.Popen[bytes], chaos: Chaos, outages: Outages) -> None:
        until = time.monotonic() + HOURS
        process = psutil.Process(program.pid)
        while program.poll() is None:
            assert time.monotonic() < until, f"it hangs at {self.progress():.0%}: {self.says()}"
            share = self.progress()
            chaos.progress(share)
            outages.look(share)
            with suppress(psutil.Error):
                self.memory.append((share, process.memory_info().rss // 2**20))
            time.sleep(0.5)

    def _left_after(self, seconds: float) -> list[int]:
        """Processes of the run that outlive it by that time."""
        until = time.monotonic() + seconds
        while (left := find(self.mark)) and time.monotonic() < until:
            time.sleep(0.5)
        return [each.pid for each in left]


def _plan(seed: int, counts: dict[str, int]) -> list[Fault]:
    dice = random.Random(seed)
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    return [Fault(kind=kind, at=dice.uniform(0.02, 0.95), by="progress") for kind in kinds]
