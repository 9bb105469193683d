"""What comes of failures: stock Parsl, a switch of pools, and ours without and with memory, in one run.

    python benchmarks/recovery.py [--programs 50] [--cells import,memory,...] [--sides stock,ours] [--quick]

A program is a map-reduce (three maps, one reduction, 50 ms each) over two pools of emulated nodes: two with
little memory and without a package, one with both. ``stock`` is Parsl with three retries; ``switch`` adds a
retry handler of three lines that sends each retry to the other pool; ``cold`` is ours with nothing remembered
from one program to the next, though it knows what managers list; ``warm`` is ours after some programs.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import parsl
from _recovery_apps import add, map_doomed, map_import, map_injected, map_memory
from _tables import machine, percentile, print_table
from parsl import Config, HighThroughputExecutor
from parsl.dataflow.errors import DependencyError
from parsl.providers import LocalProvider

from parsl_diaspora import resilient
from parsl_diaspora.testing.emulated import EmulatedNode, install_package
from parsl_diaspora.testing.faults import play_all
from parsl_diaspora.testing.processes import worker_init

SIDES = ("stock", "switch", "cold", "warm")
POOLS = ("alder", "birch")
RETRIES = 3
LIMIT = 2_000_000_000
WARM_UP = 5
READY = 120.0
RATES = (0.1, 0.3)
INJECTED = ("assertion", "zero", "import", "memory")

Program = Callable[[], list[Any]]

CELLS: dict[str, Program] = {
    "import": lambda: [map_import(number) for number in range(3)],
    "memory": lambda: [map_memory(number) for number in range(3)],
    "doomed": lambda: [map_doomed(number) for number in range(3)],
    **{
        f"{kind} {rate}": lambda kind=kind, rate=rate: [map_injected(n, kind, rate) for n in range(3)]
        for rate in RATES
        for kind in INJECTED
    },
}
BAD_NODE = "bad node"


class Figures(msgspec.Struct):
    """What came of the programs of one cell on one side."""

    programs: int = 0
    succeeded: int = 0
    good_tries: int = 0
    failed_tries: int = 0
    to_failure: list[float] = []
    decisions: list[float] = []

    @property
    def program_success(self) -> float:
        """Share of programs that ended well."""
        return self.succeeded / max(1, self.programs)

    @property
    def task_success(self) -> float:
        """Good tries of all tries."""
        return self.good_tries / max(1, self.good_tries + self.failed_tries)

    def row(self, cell: str, side: str) -> list[str]:
        """As it is printed."""
        seconds = f"{statistics.median(self.to_failure):.3f}" if self.to_failure else "-"
        p99 = f"{percentile(self.decisions, 0.99) * 1e6:.0f}" if self.decisions else "-"
        tries = (self.good_tries + self.failed_tries) / max(1, self.programs)
        success = f"{self.program_success:.2f}"
        return [
            cell,
            side,
            str(self.programs),
            success,
            f"{self.task_success:.3f}",
            f"{tries:.1f}",
            seconds,
            p99,
        ]


HEAD = [
    "failure",
    "side",
    "programs",
    "succeeded",
    "task success",
    "tries",
    "s to failure",
    "p99 decision, us",
]


class Side:
    """One configuration, loaded: pools that all programs of this side share."""

    def __init__(self, name: str, directory: Path, rare: str) -> None:
        self.name = name
        self._figures = Figures()
        config = Config(
            executors=[self._pool("alder", 2, 2, rare), self._pool("birch", 1, 4, rare)],
            run_dir=str(directory / name),
            retries=RETRIES,
            retry_handler=switch if name == "switch" else None,
            strategy="none",
            initialize_logging=False,
        )
        if name in ("cold", "warm"):
            config = resilient(config, fabric=f"file:{directory / name / 'events'}")
        config.retry_handler = self._timed(config.retry_handler or (lambda error, task: 1.0))
        self._kernel = parsl.load(config)
        self._wait()

    def _pool(self, label: str, nodes: int, workers: int, rare: str) -> HighThroughputExecutor:
        good = label == "birch"
        node = EmulatedNode(f"{label}-1", 0 if good else LIMIT, (rare,) if good else ())
        paths = ":".join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
        return HighThroughputExecutor(
            label=label,
            address="127.0.0.1",
            encrypted=True,
            max_workers_per_node=workers,
            cores_per_worker=0.01,
            provider=LocalProvider(
                init_blocks=nodes,
                min_blocks=nodes,
                max_blocks=nodes,
                launcher=node,
                worker_init=worker_init(f"recovery-{uuid.uuid4().hex[:8]}", label, {"PYTHONPATH": paths}),
            ),
        )

    def _timed(self, handler: Callable[[Exception, Any], float]) -> Callable[[Exception, Any], float]:
        def answer(error: Exception, task: Any) -> float:
            if isinstance(error, DependencyError):
                return handler(error, task)
            began = time.perf_counter()
            cost = handler(error, task)
            self._figures.decisions.append(time.perf_counter() - began)
            self._figures.failed_tries += 1
            return cost

        return answer

    def _wait(self) -> None:
        """Until all managers are there and, on our side, are known to have told of themselves."""
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            pools = [self._kernel.executors[label] for label in POOLS]
            if [len(pool.connected_managers()) for pool in pools] == [2, 1]:
                break
            time.sleep(0.1)
        else:
            raise TimeoutError("The pools did not come up.")
        add(0).result()
        while self.name in ("cold", "warm") and time.monotonic() < deadline:
            offers = self.session.routing.offers
            if all(offers.of(label).packages for label in POOLS):
                break
            time.sleep(0.1)
        time.sleep(1.0)

    @property
    def session(self) -> Any:
        """Ours."""
        return self._kernel.memoizer.session

    def run(self, program: Program, count: int) -> Figures:
        """So many programs, one after the other."""
        if self.name == "warm":
            for _ in range(WARM_UP):
                self._run_one(program)
        self._figures = Figures()
        for _ in range(count):
            if self.name == "cold":
                self._forget()
            self._run_one(program)
        return self._figures

    def _forget(self) -> None:
        self.session.routing.forget()
        picture = self.session.live.picture
        picture.unfit.clear()
        picture.overcome.clear()

    def _run_one(self, program: Program) -> None:
        figures, began = self._figures, time.perf_counter()
        figures.programs += 1
        maps = program()
        total = add(*maps)
        try:
            total.result()
            figures.succeeded += 1
        except Exception:  # noqa: BLE001 - that is what is measured
            figures.to_failure.append(time.perf_counter() - began)
        figures.good_tries += sum(each.exception() is None for each in [*maps, total])

    def close(self) -> None:
        """End the pools."""
        self._kernel.cleanup()
        parsl.clear()


def switch(error: Exception, task: Any) -> float:
    """The plain switch of pools: what three lines can do."""
    del error
    task["executor"] = random.choice([label for label in POOLS if label != task["executor"]])
    return 1.0


@contextmanager
def side(name: str, directory: Path, rare: str) -> Iterator[Side]:
    """One side's pools, for a while."""
    loaded = Side(name, directory, rare)
    try:
        yield loaded
    finally:
        loaded.close()


def bad_node(directory: Path, sides: list[str]) -> list[list[str]]:
    """One bad node of two, with 100 tasks."""
    kinds = {"stock": "stock", "warm": "ours"}
    jobs = [("black-hole", kinds[name], READY) for name in sides if name in kinds]
    outcomes = play_all(jobs, directory / "bad-node", together=1)
    rows = []
    for outcome in outcomes.values():
        tries = outcome.done + outcome.wasted
        success = f"{outcome.done / max(1, tries):.3f}"
        done = f"{outcome.done} of {outcome.total}"
        rows.append([BAD_NODE, outcome.kind, "1", done, success, str(tries), "-", "-"])
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=50, help="in each cell (default: %(default)s)")
    parser.add_argument("--cells", default=",".join([*CELLS, BAD_NODE]), help="which (default: %(default)s)")
    parser.add_argument("--sides", default=",".join(SIDES), help="which (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="two programs a cell: does it run?")
    parser.add_argument("--dir", help="where logs and events are left (default: they are removed)")
    arguments = parser.parse_args()
    cells, sides = arguments.cells.split(","), arguments.sides.split(",")
    if unknown := {*cells} - {*CELLS, BAD_NODE} | {*sides} - {*SIDES}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    count = 2 if arguments.quick else arguments.programs

    print(f"{machine()}, Parsl {parsl.__version__}; {RETRIES} retries", flush=True)
    with tempfile.TemporaryDirectory(prefix="recovery-", ignore_cleanup_errors=True) as directory:
        rows = measure(cells, sides, count, Path(arguments.dir or directory).absolute())
    print()
    print_table(HEAD, rows)


def measure(cells: list[str], sides: list[str], count: int, directory: Path) -> list[list[str]]:
    """The rows, cell by cell."""
    rare = install_package(directory / "site", "rare_table")
    found: dict[tuple[str, str], list[str]] = {}
    began = time.monotonic()
    shared = [cell for cell in cells if cell in CELLS]
    for name in sides if shared else ():
        with side(name, directory, rare) as loaded:
            for cell in shared:
                found[cell, name] = loaded.run(CELLS[cell], count).row(cell, name)
                row = "  ".join(found[cell, name])
                print(f"{time.monotonic() - began:5.0f} s  {row}", file=sys.stderr, flush=True)
    rows = [found[cell, name] for cell in shared for name in sides]
    return [*rows, *(bad_node(directory, sides) if BAD_NODE in cells else ())]


if __name__ == "__main__":
    main()
