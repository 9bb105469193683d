"""``parsl-diaspora events``: the events themselves."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from parsl_diaspora.cli.find import add_where, find_run, open_logs
from parsl_diaspora.cli.output import write_bytes
from parsl_diaspora.events import Event, encode
from parsl_diaspora.events.cloudevents import encode_cloudevent
from parsl_diaspora.events.schema import json_schema
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.state.reading import Reading

NEWEST = 20
BATCH = 1_000  # events in memory; some may be large
_MODULES = {"repair": "parsl_diaspora.cli.repair", "compact": "parsl_diaspora.cli.compact"}
_HELP = {
    "repair": "take out what is damaged, keeping a copy; exit status 1 if something is left",
    "compact": "rewrite finished runs to their net effect",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_tail(commands.add_parser("tail", help="show the newest events, and those that come"))
    _add_export(commands.add_parser("export", help="write events as JSON lines or CloudEvents"))
    _add_verify(commands.add_parser("verify", help="check that a log is whole; exit status 1 if not"))
    for name, module in _MODULES.items():
        command = commands.add_parser(name, help=_HELP[name])
        import_module(module).add_arguments(command)
    commands.add_parser("schema", help="print the JSON Schema of all kinds of events")


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    return _COMMANDS[args.what](args)


def _add_tail(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with those that come, until the run has ended"
    )
    parser.add_argument(
        "-n", type=int, default=NEWEST, metavar="N", dest="newest", help="how many (default: 20)"
    )
    parser.add_argument("--run", metavar="RUN", dest="run_id", help="only of this run")
    parser.add_argument(
        "--kind", metavar="K", action="append", help="only this kind, as task.try_failed or task; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="as JSON lines")
    add_where(parser)


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=sorted(_FORMATS), default="jsonl", help="default: jsonl")
    parser.add_argument(
        "--run", metavar="RUN", dest="run_id", help="only of this run (default: all in the logs)"
    )
    parser.add_argument(
        "-o", metavar="FILE", dest="output", help="write to this file (default: standard output)"
    )
    add_where(parser)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_where(parser)


def _tail(args: argparse.Namespace) -> int:
    from parsl_diaspora.cli.tail import tail

    return tail(args)


def _verify(args: argparse.Namespace) -> int:
    from parsl_diaspora.cli.check import check

    return check(args)


def _other(args: argparse.Namespace) -> int:
    status: int = import_module(_MODULES[args.what]).run(args)
    return status


def _schema(args: argparse.Namespace) -> int:
    del args
    write_bytes([json.dumps(json_schema(), indent=2, sort_keys=True).encode()])
    return 0


# --- export ---


def _export(args: argparse.Namespace) -> int:
    """Stream events as they lie in the logs: in order per source, with only a batch in memory."""
    logs = open_logs(args)
    found = find_run(logs, args.run_id) if args.run_id else None
    events = _events([found.fabric] if found else logs, found.run if found else "")
    write = _FORMATS[args.format]
    if args.output is None:
        write_bytes(write(event) for event in events)
        return 0
    count = _write_file(Path(args.output), (write(event) for event in events))
    sys.stderr.write(f"parsl-diaspora: {count} events are in {args.output}.\n")
    return 0


def _write_file(path: Path, lines: Iterator[bytes]) -> int:
    """Write lines into a file that is there only when it is whole; how many. A pipe gets them as they are."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        with path.open("wb") as file:
            return _write_lines(file, lines)
    target = path.resolve()
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            count = _write_lines(file, lines)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; nothing was exported", str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return count


def _write_lines(file: BinaryIO, lines: Iterator[bytes]) -> int:
    count = 0
    for line in lines:
        file.write(line + b"\n")
        count += 1
    return count


def _events(logs: list[Fabric], run: str) -> Iterator[Event]:
    for log in logs:
        yield from (event for event in Reading(log, BATCH) if not run or event.run == run)


def _jsonl(event: Event) -> bytes:
    return encode(event, "json")


def _cloudevent(event: Event) -> bytes:
    return encode_cloudevent(event)


_FORMATS: dict[str, Callable[[Event], bytes]] = {"jsonl": _jsonl, "cloudevents": _cloudevent}
_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "tail": _tail,
    "export": _export,
    "verify": _verify,
    "repair": _other,
    "compact": _other,
    "schema": _schema,
}
