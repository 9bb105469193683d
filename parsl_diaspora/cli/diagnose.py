"""``parsl-diaspora diagnose``: a pasted traceback or log, and what is to be made of it."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.cli.output import console, write_json
from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import Failure
from parsl_diaspora.failures import CLASSES, Diagnoser
from parsl_diaspora.failures.model import shipped
from parsl_diaspora.failures.remedies import remedy

_TRACEBACK = "Traceback (most recent call last)"
#: What stands at a traceback's end: a class with its module, and what it says.
_END = re.compile(r"^([A-Za-z_][\w.<>]*)(?:: (.*))?$")
#: The same without a traceback above it: only what is called as exceptions are.
_RAISED = re.compile(
    r"^(?:\w+: )?([A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Failure|Lost|Timeout|Died))(?:: (.*))?$"
)
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<name>\S+)')
_EXIT = re.compile(
    r"(?i)(?:exit(?:ed)?(?: with)?(?: unix)?(?: exit)?(?: code| status)?|\breturn ?code|\brc)"
    r"\s*[=:]?\s*(-?\d{1,3})\b"
)
_SIGNAL = re.compile(r"(?i)\bsignal (\d{1,2})\b")
_KILLED = re.compile(r"(?m)^(?:\S.*line \d+: +\d+ )?Killed\s*$|^\S.*line \d+: +\d+ Killed\b")
_ERRNO = re.compile(r"\[Errno (\d+)\]")
_MODULE = re.compile(r"No module named '([\w.]+)'|cannot import name '(\w+)'")
_SIGNALS = {"segmentation fault": -11, "aborted (core dumped)": -6, "bus error": -7}
TEXT_LIMIT = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="a traceback or log (default: standard input)"
    )
    parser.add_argument("--rules", metavar="FILE", help="rules of failures of your own, as failure_rules")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Diagnose a text."""
    failure = failure_from(_read(args.file))
    rules = Diagnoser().rules
    if args.rules:
        from parsl_diaspora.failures.rules import load_rules

        rules = load_rules(args.rules) + rules
    found = Diagnoser(rules, model=shipped()).diagnose(failure)
    if args.json:
        said = {"failure": msgspec.to_builtins(failure), "diagnosis": msgspec.to_builtins(found)}
        write_json({**said, "what_to_do": remedy(found.failure_class)})
        return 0
    known, out = CLASSES[found.failure_class], console()
    out.print(
        f"{found.failure_class}  ({found.layer} layer, confidence {found.confidence:.0%})", highlight=False
    )
    rows: list[tuple[str, str]] = [("what it is", known.definition)]
    rows += [("evidence", text) for text in found.evidence]
    rows.append(
        ("told by", f"rule {found.rule}" if found.rule not in ("", "model") else found.rule or "nobody")
    )
    rows += [("read as", _read_as(failure)), ("tries", _budget(found.failure_class))]
    rows.append(("what to do", remedy(found.failure_class)))
    for name, text in rows:
        out.print(f"  {name:<11} {text}", highlight=False, markup=False, soft_wrap=True)
    return 0


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()[-TEXT_LIMIT:]
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")[-TEXT_LIMIT:]
    except OSError as error:
        hint = "Give the path of a traceback or log, or pipe it: parsl-diaspora diagnose < FILE."
        raise NotFound(f"{name} cannot be read: {error.strerror}.", what=name, hint=hint) from error


def failure_from(text: str) -> Failure:
    r"""What a pasted text tells of a failure; one as JSON, also within an event, is taken as it is.

    Example:
        >>> failure_from("Traceback ...\nValueError: no such seed").type
        'builtins.ValueError'
    """
    if (told := _as_json(text)) is not None:
        return told
    name, message = _raised(text)
    exit_code = _exit_code(text)
    frames = [match for line in text.splitlines() if (match := _FRAME.match(line)) is not None]
    own = [each for each in frames if "site-packages" not in each["file"]] or frames
    frame = f"{Path(own[-1]['file']).name}:{own[-1]['name']}:{own[-1]['line']}" if own else ""
    module = _MODULE.search(message)
    errno = _ERRNO.search(message)
    return Failure(
        chain=_chain_of(name) if name else _PROGRAM if exit_code is not None else (),
        message=message or text.strip()[-2_000:],
        traceback=text if name else "",
        frame=frame,
        name=(module[1] or module[2]) if module else "",
        errno=int(errno[1]) if errno else None,
        exit_code=exit_code,
        stderr="" if name else text.strip()[-2_000:],
    )


def _as_json(text: str) -> Failure | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        said = msgspec.json.decode(text, type=dict[str, Any])
        return msgspec.convert(said.get("failure", said), Failure)
    except msgspec.MsgspecError:
        return None


_PROGRAM = ("parsl.app.errors.BashExitFailure", "builtins.Exception")


def _raised(text: str) -> tuple[str, str]:
    """Class and message of the last exception; the line that ends a traceback is one, whatever its name."""
    found: re.Match[str] | None = None
    margin: int | None = None  # of the traceback that is being read
    for line in text.splitlines():
        said = line.strip()
        indent = len(line) - len(line.lstrip())
        if said.startswith(_TRACEBACK):
            margin = indent
        elif margin is not None and said and indent <= margin:
            margin, found = None, _END.match(said) or found
        else:
            found = _RAISED.match(said) or found
    return (found[1], found[2] or "") if found else ("", "")


def _chain_of(name: str) -> tuple[str, ...]:
    """The bases of a class that everybody has; of others only that they are exceptions."""
    module, _, last = name.rpartition(".")
    known: Any = getattr(__import__("builtins"), last, None) if module in ("", "builtins") else None
    if isinstance(known, type) and issubclass(known, BaseException):
        chain = [each for each in known.__mro__ if issubclass(each, BaseException)]
        return tuple(f"{each.__module__}.{each.__qualname__}" for each in chain)
    return (name, "builtins.Exception", "builtins.BaseException")


def _exit_code(text: str) -> int | None:
    if found := _EXIT.search(text):
        return int(found[1])
    if found := _SIGNAL.search(text):
        return -int(found[1])
    if _KILLED.search(text):
        return -9
    lowered = text.lower()
    return next((code for words, code in _SIGNALS.items() if words in lowered), None)


def _read_as(failure: Failure) -> str:
    parts = [failure.type.rpartition(".")[2] if failure.traceback or failure.frame else "a log"]
    parts += [f"at {failure.frame}"] if failure.frame else []
    parts += [f"exit code {failure.exit_code}"] if failure.exit_code is not None else []
    return ", ".join(parts)


def _budget(failure_class: str) -> str:
    budget = CLASSES[failure_class].budget
    if budget is None:
        return "the application's budget (Config.retries, at least 1)"
    return f"up to {budget} more by default" if budget else "none: trying again cannot help"
