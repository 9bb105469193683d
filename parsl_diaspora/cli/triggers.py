"""``parsl-diaspora triggers``: try a pattern on events, or do what triggers say."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parsl_diaspora.cli.find import FABRIC_VARIABLE
from parsl_diaspora.cli.interrupts import sigterm_interrupts
from parsl_diaspora.cli.output import write_json
from parsl_diaspora.cli.words import plain
from parsl_diaspora.errors import DiasporaError, EventError, FabricError, SettingsError
from parsl_diaspora.events import Event, decode
from parsl_diaspora.events.cloudevents import TYPE_PREFIX, from_cloudevent
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.triggers import Mismatch, Pattern, TriggerEngine
from parsl_diaspora.fabric.triggers.engine import NAME
from parsl_diaspora.settings import Settings, read_yaml
from parsl_diaspora.trigger_settings import Trigger

NO_MATCH = 1
STOP_SECONDS = 10.0
CATCH_UP_SECONDS = 3_600.0
_LOOK = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own commands and their options."""
    commands = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    _add_test(commands.add_parser("test", help="say of each event whether it matches a pattern, and why not"))
    _add_run(commands.add_parser("run", help="follow a fabric and do what triggers say"))


def run(args: argparse.Namespace) -> int:
    """Do what is asked."""
    return _test(args) if args.what == "test" else _run(args)


def _add_test(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Say of each event on standard input whether it matches. An event is a line of JSON, as `events "
        "export` writes it, in either format. Exit status 1 if one does not match."
    )
    parser.add_argument("pattern", metavar="PATTERN", help="the pattern as JSON, or a file that holds it")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.description = "Follow a fabric, and do what triggers say, until SIGINT or SIGTERM."
    parser.add_argument("--fabric", metavar="URL", help=f"what to follow (default: ${FABRIC_VARIABLE})")
    parser.add_argument(
        "--triggers",
        metavar="FILE",
        required=True,
        help="YAML: a list of triggers, or settings that have one",
    )
    parser.add_argument("--name", default=NAME, help=f"of the consumer, which resumes (default: {NAME})")
    parser.add_argument(
        "--start", default="latest", help="the first time: latest (default), earliest, or seconds UTC"
    )
    parser.add_argument(
        "--once", action="store_true", help="end when all events that are there are done with"
    )


# --- test ---


def _test(args: argparse.Namespace) -> int:
    pattern = Pattern(_pattern_text(args.pattern))
    results = [(number, pattern.why_not(event)) for number, event in _events(sys.stdin.buffer)]
    if not results:
        raise EventError("There is no event on standard input.", hint="Give one as a line of JSON.")
    if args.json:
        write_json([_as_json(number, miss) for number, miss in results])
    else:
        for number, miss in results:
            sys.stdout.write(plain(f"{number}: {'matches' if miss is None else f'no match: {miss}'}") + "\n")
    return NO_MATCH if any(miss is not None for _, miss in results) else 0


def _pattern_text(text: str) -> str:
    """The pattern itself; what does not begin like JSON is the name of a file."""
    if text.lstrip().startswith(("{", "[", '"')):
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        hint = 'It holds a pattern in JSON, as {"kind": ["task.try_failed"]}.'
        raise SettingsError(f"The pattern in {text} is no text in UTF-8.", hint=hint) from error


_LINES = "Each line is one event, as `parsl-diaspora events export` writes them."


def _events(lines: Any) -> Iterator[tuple[int, Event | dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, _event(line, number)


def _event(line: bytes, number: int) -> Event | dict[str, Any]:
    """An event of ours, its defaults filled in; of others the mapping as it is."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EventError(f"Line {number} of standard input is no JSON: {error}.", hint=_LINES) from error
    if not isinstance(fields, dict):
        message = f"Line {number} of standard input is a {type(fields).__name__}, not an object."
        raise EventError(message, hint=_LINES)
    if isinstance(fields.get("kind"), str):
        return decode(line, "json")
    if str(fields.get("type")).startswith(TYPE_PREFIX) and "specversion" in fields:
        return from_cloudevent(fields)
    return fields


def _as_json(number: int, miss: Mismatch | None) -> dict[str, Any]:
    if miss is None:
        return {"line": number, "matches": True}
    return {"line": number, "matches": False, "path": miss.path, "rules": miss.rules, "value": miss.value}


# --- run ---


def _run(args: argparse.Namespace) -> int:
    url = args.fabric or os.environ.get(FABRIC_VARIABLE)
    if not url:
        raise FabricError("No fabric is named.", hint="Name the one to follow with --fabric URL.")
    triggers = _declared(Path(args.triggers))
    fabric = open_fabric(url)
    engine = TriggerEngine(fabric, triggers, name=args.name, start=args.start)
    try:
        with sigterm_interrupts():
            _follow(engine, once=args.once, where=fabric.url)
    finally:
        fabric.close()
    write_json({name: {f: getattr(c, f) for f in c.__struct_fields__} for name, c in engine.counts().items()})
    if not engine.finished:
        sys.stderr.write("parsl-diaspora: some actions were not done with; they are done the next time.\n")
    return 0 if engine.finished else 1


def _follow(engine: TriggerEngine, *, once: bool, where: str) -> None:
    engine.start()
    try:
        if once:
            engine.finish(CATCH_UP_SECONDS)
            return
        sys.stderr.write(f"parsl-diaspora: following {where}.\n")
        while not engine.wait(_LOOK):
            pass
    except KeyboardInterrupt:
        engine.finish(STOP_SECONDS)


def _declared(path: Path) -> tuple[Trigger, ...]:
    values = read_yaml(path)
    settings = Settings.from_dict(
        {"triggers": values} if isinstance(values, list) else values, where=str(path)
    )
    if not settings.triggers:
        raise DiasporaError(f"There is no trigger in {path}.", hint="It holds a list of them in YAML.")
    return settings.triggers
