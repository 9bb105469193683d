"""``parsl-diaspora events compact``: rewrite finished runs to their net effect."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import add_where, open_files
from parsl_diaspora.cli.output import console, pairs, write_json
from parsl_diaspora.cli.words import count, share
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.compact import KEPT, Compaction


class LogCompaction(msgspec.Struct, kw_only=True):
    """What was done to one log.

    Attributes:
        fabric: its URL.
        segments: how many were rewritten, or would be.
        before: bytes that they had.
        after: bytes that they have now.
        dropped: events that went.
        left: segments that were left, by why.
        dry_run: nothing was done.
    """

    fabric: str
    segments: int = 0
    before: int = 0
    after: int = 0
    dropped: int = 0
    left: dict[str, int] = {}
    dry_run: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    parser.add_argument(
        "--abandoned", action="store_true", help="also runs without an end that nobody writes any more"
    )
    parser.add_argument("--no-copy", action="store_true", help=f"do not keep the old segments in {KEPT}/")
    parser.add_argument("--force", action="store_true", help="also what named consumers have not read yet")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Compact the logs and say what that saved."""
    done = [_compact(log, args) for log in open_files(args)]
    if args.json:
        write_json(done)
    else:
        render(done, console(), copies=not args.no_copy)
    return 0


def _compact(log: FileFabric, args: argparse.Namespace) -> LogCompaction:
    done, left = LogCompaction(fabric=log.url, dry_run=args.dry_run), Counter[str]()
    compaction = Compaction(log.directory, force=args.force, abandoned=args.abandoned, copy=not args.no_copy)
    for each in compaction.run(dry_run=args.dry_run):
        if each.left:
            left[each.left] += 1
            continue
        done.segments += 1
        done.before += each.before
        done.after += each.after
        done.dropped += each.dropped
    done.left = dict(left)
    return done


def render(done: list[LogCompaction], out: Console, *, copies: bool) -> None:
    """Print what was done."""
    for log in done:
        out.print(Text(log.fabric, style="bold"), soft_wrap=True)
        out.print(pairs(_rows(log, copies)))


def _rows(log: LogCompaction, copies: bool) -> Iterator[tuple[str, object]]:
    if log.segments and log.dry_run:
        yield "would drop", f"{count(log.dropped, 'event')} from {count(log.segments, 'segment')}"
    elif log.segments:
        yield "dropped", f"{count(log.dropped, 'event')} from {count(log.segments, 'segment')}"
        saved = log.before - log.after
        yield "saved", f"{count(saved, 'byte')} of {log.before} ({share(saved, log.before)})"
    else:
        yield "log", "nothing to compact"
    if log.segments and copies and not log.dry_run:
        yield "kept", f"the old segments are in {KEPT}/: remove them to win the space"
    for why, number in log.left.items():
        yield "left", f"{count(number, 'segment')}: {why}"
