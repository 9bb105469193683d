"""Which logs are read, and which run is meant.

By default that is every log below Parsl's run directory, ``runinfo/*/events``: one for each run. A fabric
that is named may hold many runs.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from parsl_diaspora.cli.words import listed
from parsl_diaspora.errors import FabricError, FabricUnavailable, NotFound
from parsl_diaspora.fabric import Fabric, open_fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.segment import SUFFIX
from parsl_diaspora.state.reading import Reading

FABRIC_VARIABLE = "PARSL_DIASPORA_FABRIC"
RUN_DIR = "runinfo"
LAST = "last"
SHORT = 8
FEW = 5


class Found(msgspec.Struct, frozen=True):
    """One run in one log.

    Attributes:
        run: Parsl's run id.
        fabric: the log.
        time: of an early event of it, seconds UTC.
    """

    run: str
    fabric: Fabric
    time: float


def add_where(parser: argparse.ArgumentParser) -> None:
    """The options that say which logs are read."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--fabric",
        metavar="URL",
        help=f"read this event fabric, as file:./events (default: ${FABRIC_VARIABLE})",
    )
    where.add_argument(
        "--run-dir",
        metavar="DIR",
        help=f"read all logs below this run directory of Parsl (default: {RUN_DIR})",
    )


def open_logs(args: argparse.Namespace) -> list[Fabric]:
    """The logs that the options name, the newest last.

    Raises:
        NotFound: there are none.
        FabricError: the fabric that is named cannot be read.
    """
    url = _url(args)
    return [_named(url)] if url else _below(Path(args.run_dir or RUN_DIR))


def open_files(args: argparse.Namespace) -> list[FileFabric]:
    """The logs that the options name, all of them directories.

    Raises:
        NotFound: there are none.
        FabricError: the fabric that is named is of another kind, or cannot be read.
    """
    logs = open_logs(args)
    for log in logs:
        if not isinstance(log, FileFabric):
            hint = "This command is for logs that lie in directories, as file:./events."
            raise FabricError(f"{log.url} has no segments.", url=log.url, hint=hint)
    return [log for log in logs if isinstance(log, FileFabric)]


def names_fabric(args: argparse.Namespace) -> bool:
    """Whether the options name one fabric, which may hold many runs."""
    return bool(_url(args))


def _url(args: argparse.Namespace) -> str:
    return args.fabric or ("" if args.run_dir else os.environ.get(FABRIC_VARIABLE, ""))


def all_runs(logs: Iterable[Fabric]) -> list[Found]:
    """Every run in these logs, the newest last."""
    return [found for log in logs for found in _runs_of(log)]


def find_run(logs: Sequence[Fabric], name: str) -> Found:
    """The run that is meant.

    Args:
        logs: where to look.
        name: a run id, the beginning of one, or ``last``.

    Raises:
        NotFound: there is no such run, or more than one.
    """
    runs = all_runs(logs)
    if not runs:
        hint = "A run is there once its program has called the first app."
        raise NotFound(f"There is no run in {_where(logs)}.", what=name, where=_where(logs), hint=hint)
    if name == LAST:
        return runs[-1]
    matches = [found for found in runs if found.run == name] or [
        found for found in runs if found.run.startswith(name)
    ]
    if len(matches) == 1:
        return matches[0]
    raise _not_one(matches, runs, name, _where(logs))


def _not_one(matches: Sequence[Found], runs: Sequence[Found], name: str, where: str) -> NotFound:
    if not matches:
        message = f"No run in {where} begins with {name!r}."
        return NotFound(message, what=name, where=where, hint=f"The newest are {_names(runs)}.")
    if len({found.run for found in matches}) == 1:
        message = f"Run {matches[0].run} is in {len(matches)} logs."
        urls = listed([found.fabric.url for found in reversed(matches)], FEW)
        return NotFound(message, what=name, where=where, hint=f"Choose one with --fabric: {urls}.")
    message = f"{len(matches)} runs in {where} begin with {name!r}."
    return NotFound(message, what=name, where=where, hint=f"They are {_names(matches)}.")


def _names(runs: Sequence[Found]) -> str:
    """The ids, the newest first, short unless that would not tell them apart."""
    short = len({found.run[:SHORT] for found in runs}) == len(runs)
    return listed([found.run[:SHORT] if short else found.run for found in reversed(runs)], FEW)


def _where(logs: Sequence[Fabric]) -> str:
    return logs[0].url if len(logs) == 1 else f"the {len(logs)} logs from {logs[0].url} to {logs[-1].url}"


# --- a fabric that is named ---


def _named(url: str) -> Fabric:
    fabric = open_fabric(url)
    if isinstance(fabric, FileFabric) and not _has_segments(fabric.directory):
        there = fabric.directory.is_dir()
        what = f"holds no events (no {SUFFIX} file is in it)" if there else "does not exist"
        hint = "Name the directory itself, as file:runinfo/000/events."
        raise FabricUnavailable(f"The directory {fabric.directory} {what}.", url=fabric.url, hint=hint)
    return fabric


def _has_segments(directory: Path) -> bool:
    return any(path.is_file() for path in directory.glob(f"*{SUFFIX}"))


# --- the logs of Parsl's run directory ---


def _below(base: Path) -> list[Fabric]:
    directories = [path for pattern in ("events", "*/events") for path in base.glob(pattern)]
    directories = [path for path in directories if _has_segments(path)]
    if not directories:
        raise _nothing(base)
    return [FileFabric(f"file:{path}") for path in sorted(directories, key=_number)]


def _number(path: Path) -> tuple[int, str]:
    """Parsl numbers the directories of its runs as they start."""
    name = path.parent.name
    return (int(name) if name.isdecimal() else -1), name


def _nothing(base: Path) -> NotFound:
    here = base.absolute()
    what = f"There is no event log in {here}/*/events" if base.is_dir() else f"There is no directory {here}"
    hint = (
        "Load a configuration with parsl.load(resilient(config)) and run the program, or say where its log "
        "is with --run-dir DIR or --fabric URL."
    )
    return NotFound(f"{what}.", where=str(here), hint=hint)


def _runs_of(log: Fabric) -> list[Found]:
    if _is_of_one_run(log):
        first = next((event for event in Reading(log, limit=1) if event.run), None)
        return [Found(first.run, log, first.time)] if first is not None else []
    times: dict[str, float] = {}
    for event in Reading(log):
        if event.run:
            times[event.run] = min(event.time, times.get(event.run, event.time))
    return [Found(run, log, time) for run, time in sorted(times.items(), key=lambda item: item[1])]


def _is_of_one_run(log: Fabric) -> bool:
    """A log beside Parsl's own log of a run holds that run alone, so any event tells which it is."""
    return isinstance(log, FileFabric) and (log.directory.parent / "parsl.log").exists()
