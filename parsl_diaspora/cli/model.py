"""``parsl-diaspora model``: look at, train or test what guesses at failures where no rule is certain."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from parsl_diaspora.cli.model_quality import show_quality, write_quality
from parsl_diaspora.cli.output import console, pairs, write_json
from parsl_diaspora.errors import NotFound, SettingsError
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.failures import Diagnoser
from parsl_diaspora.failures.model import LearnedModel, Weights, read_weights
from parsl_diaspora.failures.model.corpus import Example, from_events, read_examples
from parsl_diaspora.failures.model.guess import SHIPPED
from parsl_diaspora.failures.model.weights import taxonomy_version, write_weights
from parsl_diaspora.failures.rules import built_in, load_rules
from parsl_diaspora.state.reading import Reading

_SOURCES = "files of labelled failures (JSON lines), or event logs (URLs, as file:./events, or directories)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    show = commands.add_parser("show", help="say what a model knows, and how good it was when it was trained")
    train = commands.add_parser("train", help="learn from labelled failures; needs scikit-learn")
    test = commands.add_parser("test", help="measure how often rules and model are right")
    for command in (train, test):
        command.add_argument("sources", nargs="+", metavar="LOG_OR_CORPUS", help=_SOURCES)
    train.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where it is written")
    train.add_argument("--about", default="", metavar="TEXT", help="what the data is, kept in the model")
    test.add_argument("--rules", metavar="FILE", help="rules of the site, tried before the built-in ones")
    for command in (show, test):
        command.add_argument(
            "--model", type=Path, default=SHIPPED, metavar="FILE", help="by default the shipped one"
        )
        command.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    return {"show": _show, "train": _train, "test": _test}[args.what](args)


def _show(args: argparse.Namespace) -> int:
    weights = read_weights(args.model)
    known = _description(weights)
    if args.json:
        write_json(known)
    else:
        console().print(pairs(known.items(), indent=0))
    return 0


def _description(weights: Weights) -> dict[str, object]:
    told = datetime.fromtimestamp(weights.trained, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    same = weights.taxonomy == taxonomy_version()
    return {
        "trained": told,
        "data": weights.data or "not told",
        "classes": ", ".join(weights.classes),
        "taxonomy": weights.taxonomy if same else f"{weights.taxonomy}, an earlier one: some classes are new",
        "tokens": len(weights.tokens),
        "silent": f"below a confidence of {weights.bar}",
        **{name.replace("_", " "): value for name, value in weights.quality.items()},
    }


def _train(args: argparse.Namespace) -> int:
    from parsl_diaspora.failures.model.training import train

    examples = _examples(args.sources)
    about = args.about or f"{len(examples)} failures of {', '.join(args.sources)}"
    weights = train(examples, data=about)
    write_weights(args.output, weights)
    right = weights.quality.get("right_where_told")
    measured = (
        f"; of origins that it had not seen it told {right:.0%} rightly where it spoke" if right else ""
    )
    sys.stdout.write(
        f"{args.output}: learned from {len(examples)} failures of {len(weights.classes)} classes{measured}.\n"
    )
    return 0


def _test(args: argparse.Namespace) -> int:
    examples = _examples(args.sources)
    rules = load_rules(args.rules) + built_in() if args.rules else built_in()
    diagnoser = Diagnoser(rules, model=LearnedModel(read_weights(args.model)))
    (write_quality if args.json else show_quality)(diagnoser, examples)
    return 0


def _examples(sources: Sequence[str]) -> list[Example]:
    found = [example for source in sources for example in _from(source)]
    if not found:
        raise NotFound(
            f"There is no labelled failure in {', '.join(sources)}.",
            hint="Logs teach only failures whose class a rule gave with certainty.",
        )
    return found


def _from(source: str) -> list[Example]:
    path = Path(source)
    if path.is_file():
        return read_examples(path)
    if path.is_dir():
        source = f"file:{source}"
    elif ":" not in source:
        raise SettingsError(f"{source} is neither a file nor a directory.", hint=f"Give {_SOURCES}.")
    return list(from_events(Reading(open_fabric(source))))
