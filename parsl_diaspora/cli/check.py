"""``parsl-diaspora events verify``: is the log whole?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from parsl_diaspora.cli.find import open_logs
from parsl_diaspora.cli.output import console, pairs, write_json
from parsl_diaspora.cli.words import count
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.state.reading import Reading

DAMAGED = 1


class LogCheck(msgspec.Struct, kw_only=True):
    """What the check of one log found.

    Attributes:
        fabric: its URL.
        whole: nothing that was once safe is missing.
        events: whole events in it.
        segments: files read; None where the log is no directory.
        gaps: numbers missing, as ``source: first-last``.
        damaged: damaged stretches, as ``file at offset``.
        duplicates: events that were there twice: readers count them once.
        torn: files whose last frame is incomplete, as a killed writer leaves it.
        lost: files that are missing between others of the same writer.
        unreadable: files that cannot be read, with the reason.
        foreign: what is named like a segment and is none.
        retired: files at the beginnings of writers that are gone, as retention leaves it.
        compacted: events that a compaction dropped.
        unlisted: how many more findings there are of a sort.
    """

    fabric: str
    whole: bool
    events: int
    segments: int | None = None
    gaps: list[str] = []
    damaged: list[str] = []
    duplicates: int = 0
    torn: list[str] = []
    lost: list[str] = []
    unreadable: list[str] = []
    foreign: list[str] = []
    retired: int = 0
    compacted: int = 0
    unlisted: dict[str, int] = {}


def check(args: argparse.Namespace) -> int:
    """Check the logs and say what was found."""
    checks = [check_log(log) for log in open_logs(args)]
    if args.json:
        write_json(checks)
    else:
        render(checks, console())
    return 0 if all(each.whole for each in checks) else DAMAGED


def check_log(log: Fabric) -> LogCheck:
    """Check one log: file by file, or as a reader meets it."""
    return _check_files(log) if isinstance(log, FileFabric) else _check_stream(log)


def _check_files(log: FileFabric) -> LogCheck:
    verdict = verify(log.directory)
    return LogCheck(fabric=log.url, whole=verdict.whole, **msgspec.structs.asdict(verdict))


def _check_stream(log: Fabric) -> LogCheck:
    reading = Reading(log)
    for _ in reading:
        pass
    missing, skipped = reading.dedupe.missing, reading.skipped
    return LogCheck(
        fabric=log.url,
        whole=not (missing or skipped),
        events=reading.events,
        gaps=[f"{count(missing, 'number')} of all sources together"] if missing else [],
        damaged=[f"{count(skipped, 'stretch', 'stretches')} passed over"] if skipped else [],
        duplicates=reading.dedupe.duplicates,
    )


def render(checks: list[LogCheck], out: Console) -> None:
    """Print what was found."""
    for each in checks:
        out.print(Text(each.fabric, style="bold"), soft_wrap=True)
        out.print(pairs(_rows(each)))


def _rows(each: LogCheck) -> Iterator[tuple[str, object]]:
    segments = "" if each.segments is None else f" in {count(each.segments, 'segment')}"
    words, style = ("whole", "green") if each.whole else ("NOT WHOLE", "red")
    yield "log", Text(f"{words}: {count(each.events, 'event')}{segments}", style=style)
    for label, sort in _ALWAYS.items():
        yield label, _listed(each, sort)
    for label, sort in _IF_ANY.items():
        if getattr(each, sort):
            yield label, _listed(each, sort)
    if each.retired:
        yield "retired", f"{count(each.retired, 'file')} at the beginning, as retention leaves it"
    if each.compacted:
        yield "compacted", f"{count(each.compacted, 'event')} dropped: what is left tells their net effect"


_ALWAYS = {"gaps": "gaps", "damaged": "damaged", "duplicates": "duplicates", "torn tails": "torn"}
_IF_ANY = {"lost files": "lost", "unreadable": "unreadable", "foreign": "foreign"}


def _listed(each: LogCheck, sort: str) -> str:
    found = getattr(each, sort)
    if not isinstance(found, list):
        return str(found or "none")
    more = [f"and {each.unlisted[sort]} more"] if sort in each.unlisted else []
    return "\n".join([*found, *more]) or "none"
