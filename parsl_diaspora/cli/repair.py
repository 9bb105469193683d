"""``parsl-diaspora events repair``: take what is damaged out of a log."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import add_where, open_files
from parsl_diaspora.cli.output import console, pairs, write_json
from parsl_diaspora.cli.words import count
from parsl_diaspora.fabric.file.repair import Repaired, Stretch, repair

LEFT = 1
_FEW = 20


class LogRepair(msgspec.Struct, kw_only=True):
    """What was done to one log.

    Attributes:
        fabric: its URL.
        segments: each one that was not whole.
        dry_run: nothing was done.
    """

    fabric: str
    segments: list[Repaired]
    dry_run: bool

    @property
    def left(self) -> bool:
        """Whether there is still something to repair."""
        return any(not each.kept for each in self.segments)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also repair segments whose writers may still write, or that are just being read",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Repair the logs and say what was done."""
    done = [
        LogRepair(
            fabric=log.url,
            segments=list(repair(log.directory, force=args.force, dry_run=args.dry_run)),
            dry_run=args.dry_run,
        )
        for log in open_files(args)
    ]
    if args.json:
        write_json(done)
    else:
        render(done, console())
    return LEFT if any(each.left for each in done) else 0


def render(done: list[LogRepair], out: Console) -> None:
    """Print what was done."""
    for log in done:
        out.print(Text(log.fabric, style="bold"), soft_wrap=True)
        out.print(pairs(_rows(log)))


def _rows(log: LogRepair) -> Iterator[tuple[str, object]]:
    if not log.segments:
        yield "log", Text("nothing to repair", style="green")
    for each in log.segments:
        yield _label(each, log), Text(each.name)
        told = [_stretch(stretch) for stretch in each.stretches[:_FEW]]
        if len(each.stretches) > _FEW:
            told.append(f"and {count(len(each.stretches) - _FEW, 'more stretch', 'more stretches')}")
        yield "cut out" if each.kept else "damaged", "\n".join(told) or "not known"
        if each.left:
            yield "because", each.left
        if each.kept:
            yield "kept", each.kept


def _label(each: Repaired, log: LogRepair) -> str:
    if each.left:
        return "left"
    return "to repair" if log.dry_run else "repaired"


def _stretch(stretch: Stretch) -> str:
    text = f"{count(stretch.size, 'byte')} at {stretch.start}"
    if stretch.torn:
        return f"{text}, an incomplete frame at the end"
    return f"{text}, with at least {count(stretch.count, 'event')}" if stretch.count else text
