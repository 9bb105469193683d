"""How good rules and model are, as tables: what `parsl-diaspora model test` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console

from parsl_diaspora.cli.output import console, heading, table, write_json
from parsl_diaspora.failures import Diagnoser
from parsl_diaspora.failures.model.corpus import Example
from parsl_diaspora.failures.model.quality import Confusion, by, by_certain_rules, by_model, judge

BOTH = "rules and model"


def measure(diagnoser: Diagnoser, examples: Sequence[Example]) -> dict[str, Confusion]:
    """What is told of examples by each part alone, and by all together."""
    return {
        "certain rules": judge(by_certain_rules(diagnoser.rules), examples),
        "all rules": judge(by(Diagnoser(diagnoser.rules)), examples),
        "model": judge(by_model(diagnoser), examples),
        BOTH: judge(by(diagnoser), examples),
    }


def show_quality(diagnoser: Diagnoser, examples: Sequence[Example]) -> None:
    """Print the figures for people."""
    out, found = console(), measure(diagnoser, examples)
    out.print(f"{len(examples)} failures of {len(found[BOTH].classes)} classes")
    heading(out, "Told by")
    rows = [(name, *_figures(each)) for name, each in found.items()]
    numbers = ("macro-F1", "right", "not told", "wrong")
    out.print(table(("", *numbers), rows, numbers=numbers))
    heading(out, f"By class, {BOTH}")
    out.print(_by_class(found[BOTH]))
    heading(out, f"Confusion, {BOTH}: a row for each true class, a column for each that was told")
    _show_confusion(out, found[BOTH])


def _figures(found: Confusion) -> tuple[str, str, str, str]:
    silent = 1 - found.accuracy - found.wrong
    return f"{found.macro_f1:.3f}", f"{found.accuracy:.1%}", f"{silent:.1%}", f"{found.wrong:.1%}"


def _by_class(found: Confusion) -> object:
    numbers = ("examples", "precision", "recall", "F1")
    rows = [
        (score.name, score.examples, *(f"{value:.2f}" for value in (score.precision, score.recall, score.f1)))
        for score in found.scores()
    ]
    return table(("class", *numbers), rows, numbers=numbers)


def _show_confusion(out: Console, found: Confusion) -> None:
    told = sorted({name for _, name in found.counts})
    titles = [str(number) for number in range(1, len(told) + 1)]
    rows = list(_rows(found, told))
    out.print(table(("class", "", *titles), rows, numbers=("", *titles), gap=1), soft_wrap=True)


def _rows(found: Confusion, told: Sequence[str]) -> Iterator[Sequence[object]]:
    for name in sorted({*found.classes, *told}):
        number = told.index(name) + 1 if name in told else ""
        counts = [found.counts[name, other] for other in told]
        yield name, number, *(count or "·" for count in counts)


def write_quality(diagnoser: Diagnoser, examples: Sequence[Example]) -> None:
    """Write the figures for programs."""
    write_json(
        {
            "examples": len(examples),
            "told_by": {
                name: {
                    "macro_f1": round(each.macro_f1, 4),
                    "right": round(each.accuracy, 4),
                    "not_told": round(1 - each.accuracy - each.wrong, 4),
                    "wrong": round(each.wrong, 4),
                    "counts": [[true, told, count] for (true, told), count in sorted(each.counts.items())],
                }
                for name, each in measure(diagnoser, examples).items()
            },
        }
    )
