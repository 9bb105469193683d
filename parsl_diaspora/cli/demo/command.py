"""The three variants in turn, and what came of them."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from rich.console import Console

from parsl_diaspora.cli.demo.closing_faults import Outcomes, broken_by_faults, closing_table, play_faults
from parsl_diaspora.cli.demo.messages import Finished, VariantName, decode
from parsl_diaspora.cli.demo.screen import Screen
from parsl_diaspora.cli.demo.verdict import TITLES, best_model, broken_promises, table
from parsl_diaspora.cli.interrupts import sigterm_interrupts
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.testing.campaign.digits import grid
from parsl_diaspora.testing.campaign.sites import new_mark
from parsl_diaspora.testing.faults import Outcome
from parsl_diaspora.testing.processes import MARK_VARIABLE, of_session, sweep

WIDTH_WITHOUT_TERMINAL = 100
LONGEST, LONGEST_STOCK = 300.0, 70.0
STOCK_PATIENCE, OUR_PATIENCE = 2.0, 3.0  # times the undisturbed run
SHORTEST = 150.0
INTRODUCTION = """\
A search over three families of classifiers on handwritten digits: {trials} trials on two sites. The site
[bold]birch[/] lacks the module 'strokes'; meanwhile six workers and one manager are killed with SIGKILL.
Stock Parsl may wait for ever for a task that a fault has swallowed, so its run is ended after twice
the time of the undisturbed one."""

INTRODUCTION_TO_FAULTS = """\
Six faults that happen in every allocation, and a long task that is killed near its end, each in a program of
its own, at Parsl's default heartbeats.
Stock Parsl is given 30 s: of some of them it would learn after two minutes, of others never."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``parsl-diaspora demo``."""
    parser.add_argument("--fabric", metavar="URL", help="where events go; default: the demo's directory")
    parser.add_argument("--seed", type=int, default=1, help="decides faults, order and sites (default: 1)")
    parser.add_argument("--dir", metavar="DIR", help="keep logs and events there; default: a new directory")
    parser.add_argument(
        "--trials", type=_trials, metavar="N", help=f"how many trials (default: all {len(grid())})"
    )
    parser.add_argument(
        "--campaign-only", action="store_true", help="without the six faults that are played at the end"
    )
    parser.add_argument("--json", action="store_true", help="results as JSON instead of the table")


def run(args: argparse.Namespace) -> int:
    """Run the demo, until its end, Ctrl-C or SIGTERM.

    Returns:
        0 if every trial of the resilient run succeeded, with the undisturbed run's scores; 1 otherwise.

    Raises:
        DiasporaError: the fabric cannot be used, or a variant ended without a result.
    """
    with sigterm_interrupts():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    console = _console(to_stderr=args.json)
    directory = Path(args.dir or tempfile.mkdtemp(prefix="parsl-diaspora-demo-")).absolute()
    fabric = args.fabric or f"file:{directory / 'events'}"
    demo = Demo(console, args.seed, directory, fabric, args.trials)
    results = demo.run()
    broken = broken_promises(results)
    if not args.json:
        demo.conclude(results, broken)
    faults = {} if args.campaign_only else demo.closing_faults()
    broken += broken_by_faults(faults)
    if args.json:
        told = {"results": results, "faults": list(faults.values()), "broken": broken}
        print(json.dumps(msgspec.to_builtins(told), indent=2))  # noqa: T201
    elif faults:
        demo.conclude_faults(faults)
    return 1 if broken else 0


class Demo:
    """Runs the variants, each in a process of its own.

    Args:
        console: where to show them.
        seed: decides faults, order and sites.
        directory: for logs.
        fabric: URL for the events of the resilient run.
        trials: how many; all if None.
    """

    def __init__(
        self, console: Console, seed: int, directory: Path, fabric: str, trials: int | None = None
    ) -> None:
        self._trials = trials
        self._console = console
        self._seed = seed
        self._directory = directory
        opened = open_fabric(fabric)
        opened.publisher("demo", immediate=True).close()  # a fabric that cannot be used is found now
        self._fabric = opened.url
        self._readable = opened.node_url is not None
        opened.close()

    def run(self) -> dict[VariantName, Finished]:
        """The results of all three."""
        introduction = INTRODUCTION.format(trials=self._trials or len(grid()))
        self._console.print(introduction, highlight=False)
        self._console.print(f"Seed {self._seed}. Logs and events: {self._directory}", highlight=False)
        results: dict[VariantName, Finished] = {}
        for name in TITLES:
            results[name] = self._variant(name, _deadline(name, results))
        return results

    def closing_faults(self) -> Outcomes:
        """What came of each, stock and ours."""
        self._console.print(f"\n{INTRODUCTION_TO_FAULTS}", highlight=False)

        def tell(found: Outcome) -> None:
            self._console.print(f"  {found.scenario}, {found.kind}: {found.story}", highlight=False)

        return play_faults(self._directory / "faults", tell)

    def conclude_faults(self, outcomes: Outcomes) -> None:
        """The closing table, and what was owed and not delivered."""
        say = self._console.print
        say()
        say(closing_table(outcomes))
        say(*broken_by_faults(outcomes), sep="\n", style="bold red", highlight=False)

    def conclude(self, results: dict[VariantName, Finished], broken: list[str]) -> None:
        """The table, the verdict, and where to read on."""
        ours, say = results["resilient"], self._console.print
        say()
        say(table(results))
        say(best_model(results), highlight=False)
        say()
        if broken:
            say("[bold red]The promise was not kept.[/]", *broken, highlight=False)
        else:
            say(
                f"[bold green]Every trial of the resilient run succeeded[/] under {ours.faults} faults, and "
                f"all {len(ours.scores)} scores equal those of the undisturbed run to the last digit.",
                highlight=False,
            )
        if not self._readable:
            return
        say("\nWhy did what happen? The run's events tell:", highlight=False)
        for words in (f"report {ours.run[:8]}", f"explain {ours.run[:8]} {ours.story}"):
            say(f"  parsl-diaspora {words} --fabric {self._fabric}", highlight=False, soft_wrap=True)

    def _variant(self, name: VariantName, deadline: float) -> Finished:
        mark = new_mark()
        log = self._directory / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = self._command(name, mark, deadline)
        with (
            log.open("w") as errors,
            _process(command, errors, mark) as lines,
            Screen(self._console, TITLES[name]) as screen,
        ):
            for message in map(decode, lines):
                screen.show(message)
                if isinstance(message, Finished):
                    return message
        text = f"The {name} run ended without a result; see {log}."
        raise DiasporaError(text, hint=f"Its last words: {_last_words(log)}")

    def _command(self, name: VariantName, mark: str, deadline: float) -> list[str]:
        options = {
            "--variant": name,
            "--mark": mark,
            "--seed": str(self._seed),
            "--fabric": self._fabric,
            "--run-dir": str(self._directory / name),
            "--deadline": f"{deadline:.0f}",
        }
        if self._trials is not None:
            options["--trials"] = str(self._trials)
        words = [word for option in options.items() for word in option]
        return [sys.executable, "-m", "parsl_diaspora.cli.demo.variant", *words]


def _trials(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= len(grid()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {len(grid())}")
    return int(text)


def _deadline(name: VariantName, results: dict[VariantName, Finished]) -> float:
    """Seconds after which a variant's trials without an answer are given up."""
    if name == "undisturbed":
        return LONGEST
    calm = results["undisturbed"].seconds
    if name == "stock":
        return min(STOCK_PATIENCE * calm, LONGEST_STOCK)
    return max(OUR_PATIENCE * calm, SHORTEST)  # a host that is slow or busy is no reason to give up


def _console(*, to_stderr: bool) -> Console:
    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=WIDTH_WITHOUT_TERMINAL)


@contextmanager
def _process(command: list[str], errors: IO[str], mark: str) -> Iterator[Iterator[str]]:
    """The variant's lines; however we leave, neither it nor anything that it started stays."""
    environ = {**os.environ, MARK_VARIABLE: mark}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ, start_new_session=True
    ) as process:
        try:
            yield iter(process.stdout or ())
            process.wait(timeout=30)
        finally:
            process.kill()
            sweep(mark, extra=of_session(process.pid))


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "none"
