"""What a decision about a failed try costs with many tasks in the state, by the built-in and a long policy.

    python benchmarks/recovery_decision.py [--tasks N] [--failures N] [--json FILE]

The goal is a decision under 200 microseconds in 99 of 100 cases: the situation put together from the state,
the diagnosis with it, and the first rule for it. Told as well is all that Parsl's thread spends in the
retry handler, where evidence and decision are written to a log in memory, too. Other programs on the same
cores lengthen all of these; what the thread itself had of its core tells less of them.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks._tables import machine, percentile, print_table  # noqa: E402
from parsl_diaspora.events import TaskEnded, TaskSubmitted, TryEnded, TryStarted  # noqa: E402
from parsl_diaspora.monitoring.deciding.retries import RetryHandler  # noqa: E402
from tests.monitoring.fakes import Program  # noqa: E402

GOAL = 200.0  # microseconds
LABELS = ("alder", "birch", "cedar", "oak")
MANAGERS = 32
RULES = 200


def long_policy() -> dict[str, Any]:
    """A policy of many rules, all of which are looked at before a built-in one decides."""
    whens: list[dict[str, Any]] = [
        {"log": "licen[sc]e .* denied"},
        {"if": "memory_peak > 0.9 * memory_limit and attempt < 3"},
        {"count": {"by": "node", "at_least": 64, "within": 60}},
        {"exception": "numpy.linalg.LinAlgError", "func": "solve_*"},
        {"exit_code": "1-99"},
    ]
    rules = [
        {"name": f"rule-{number}", "when": {**whens[number % len(whens)], "attempt": f"{1 + number % 4}-9"}}
        for number in range(RULES)
    ]
    return {"rules": [{**rule, "do": "other node", "reason": "a rule"} for rule in rules]}


def filled(directory: str, tasks: int, **settings: Any) -> Program:
    """A program whose state holds so many finished tasks, on managers of four executors."""
    program = Program(Path(directory), *LABELS, retries=1_000, move="any", max_tries=1_000, **settings)
    picture = program.picture
    for label in LABELS:
        for number in range(MANAGERS):
            program.see_manager(f"{label}-{number}", label)
    for task in range(tasks):
        label = LABELS[task % len(LABELS)]
        place = {"run": picture.run, "task": task, "try_id": 0, "executor": label, "time": 1.0 + task}
        manager = f"{label}-{task % MANAGERS}"
        picture.fold(TaskSubmitted(func=f"app{task % 50}", **place))
        picture.fold(TryStarted(manager=manager, node=f"n{task % MANAGERS}", worker=0, block="0", **place))
        picture.fold(TryEnded(manager=manager, seconds=1.0, **place))
        picture.fold(TaskEnded(outcome="done", tries=1, run=picture.run, task=task, time=2.0 + task))
    return program


def errors() -> list[Exception]:
    """Failures of different classes, each with the traceback of a small program."""
    made: list[Exception] = []
    for error in (
        KeyError("x"),
        MemoryError(),
        ModuleNotFoundError("No module named 'x'", name="x"),
        OSError(28, ""),
    ):
        try:
            raise error
        except type(error) as caught:
            made.append(caught)
    return made


class Timed:
    """A function with the microseconds of each call, and those of them that its thread had a core."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.taken: list[float] = []
        self.cpu: list[float] = []

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        used, begun = time.thread_time_ns(), time.perf_counter_ns()
        answer = self.function(*arguments)
        self.taken.append((time.perf_counter_ns() - begun) / 1_000)
        self.cpu.append((time.thread_time_ns() - used) / 1_000)
        return answer


def measure(tasks: int, failures: int, **settings: Any) -> dict[str, Timed]:
    """Each decision, and each call of the whole handler."""
    with tempfile.TemporaryDirectory() as directory:
        program = filled(directory, tasks, **settings)
        handler: RetryHandler = program.handler
        deciding = Timed(handler._choose)
        handler._choose = deciding  # type: ignore[method-assign]
        whole = Timed(handler)
        program.handler = whole  # type: ignore[assignment]
        raised = errors()
        gc.disable()
        try:
            for number in range(failures):
                task = program.task(LABELS[number % len(LABELS)])
                task["id"] += tasks
                program.launch(task)
                error = raised[number % len(raised)]
                program.report(error, manager=f"{task['executor']}-{number % MANAGERS}")
                program.fail(task, error)
        finally:
            gc.enable()
            program.memoizer.close()
        assert program.session.live is not None
        assert not program.session.live.faults, program.session.live.faults
        return {"decision": deciding, "whole handler": whole}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=100_000, help="in the state (default: %(default)s)")
    parser.add_argument("--failures", type=int, default=4_000, help="decided upon (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    args = parser.parse_args()
    policies: dict[str, dict[str, Any]] = {"built-in": {}, f"{RULES} more rules": {"policy": long_policy()}}
    rows, figures = [], {}
    for name, settings in policies.items():
        for part, timed in measure(args.tasks, args.failures, **settings).items():
            p50, p99 = percentile(timed.taken, 0.5), percentile(timed.taken, 0.99)
            cpu = percentile(timed.cpu, 0.99)
            figures[f"{name}, {part}"] = {"p50": p50, "p99": p99, "p99 of its core": cpu}
            goal = f"p99 <= {GOAL:.0f}" if (part, name) == ("decision", "built-in") else ""
            met = ("yes" if p99 <= GOAL else "NO") if goal else ""
            rows.append((name, part, f"{p50:.0f}", f"{p99:.0f}", f"{cpu:.0f}", goal, met))
    print(f"{machine()}; {args.tasks:,} tasks in the state, {args.failures:,} failures, microseconds\n")
    print_table(("policy", "part", "p50", "p99", "p99 of its core", "goal", "met"), rows)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
