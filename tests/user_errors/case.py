"""One wrong thing that a user can do, and what is said to it."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from parsl_diaspora.cli import main as main_module
from parsl_diaspora.cli.main import PROGRAM, main
from parsl_diaspora.errors import DiasporaError
from tests.user_errors.neutral import neutral

PRELUDE = """
import parsl
from parsl import Config, File, bash_app, python_app
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl_diaspora import Settings, cancel, current_task, hold, open_fabric, release, resilience, resilient
from parsl_diaspora.recovery import Do, Policy, Rule, When
from parsl_diaspora.trigger_settings import Action, Trigger
ENDED = {"kind": ["run.ended"]}
config = Config(
    executors=[HighThroughputExecutor(label=label, address="127.0.0.1") for label in ("cpu", "gpu")]
)
"""


@dataclass(frozen=True)
class Said:
    """What was said.

    Attributes:
        kind: class of the exception; the command's name where it told an error; else empty.
        message: what, where, and why.
        hint: what to do.
        status: exit status of the command.
    """

    kind: str
    message: str
    hint: str = ""
    status: int | None = None


@dataclass(frozen=True)
class Case:
    """One wrong thing to do.

    Attributes:
        title: what is wrong.
        code: Python that does it, after `PRELUDE`.
        command: a command that does it, without the program's name.
        files: name to text of the files that are there.
        env: variables of the environment.
        stdin: of the command.
        missing: modules that are not installed.
        given: what else must be so, in words, and what makes it so.
        is_own_text: the message is not of this package's own making: no hint stands beside it.
    """

    title: str
    code: str = ""
    command: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    missing: tuple[str, ...] = ()
    given: str = ""
    prepare: Callable[[Path], object] = lambda place: None
    is_own_text: bool = False

    def provoke(self) -> Said:
        """Do it, in a directory of its own."""
        with tempfile.TemporaryDirectory() as name, self._at(Path(name).resolve()) as place:
            self.prepare(place)
            said = self._command() if self.command else said_to(self.code)
            return Said(said.kind, neutral(said.message, place), neutral(said.hint, place), said.status)

    @contextlib.contextmanager
    def _at(self, place: Path) -> Iterator[Path]:
        before, path = Path.cwd(), list(sys.path)
        for name, text in self.files.items():
            (place / name).write_text(text)
        env = {name: text for name, text in os.environ.items() if not name.startswith("PARSL_DIASPORA_")}
        env |= {"HOME": str(place), **self.env}
        with mock.patch.dict(os.environ, env, clear=True), _without(self.missing):
            os.chdir(place)
            sys.path.insert(0, str(place))
            try:
                yield place
            finally:
                os.chdir(before)
                sys.path[:] = path

    def _command(self) -> Said:
        words = io.StringIO()
        stdin = io.TextIOWrapper(io.BytesIO(self.stdin.encode()))
        with (
            contextlib.redirect_stdout(words),
            contextlib.redirect_stderr(words),
            mock.patch.object(sys, "stdin", stdin),
            _noting() as noted,
        ):
            status = main(shlex.split(self.command))
        printed = words.getvalue()
        assert status, f"Nothing was wrong with: {self.command}\n{printed}"
        for error in noted:
            said = said_by(error)
            assert printed == f"{PROGRAM}: {said.message} {said.hint}\n"
            return Said(PROGRAM, said.message, said.hint, status)
        shown = printed.splitlines()[-1] if printed.startswith("usage: ") else printed
        return Said("", shown.strip(), "", status)


@contextlib.contextmanager
def _noting() -> Iterator[list[DiasporaError]]:
    """The errors that the command meets, before it prints them."""
    noted: list[DiasporaError] = []
    real = main_module._run

    def run(arguments: list[str]) -> int:
        try:
            return real(arguments)
        except DiasporaError as error:
            noted.append(error)
            raise

    with mock.patch.object(main_module, "_run", run):
        yield noted


@contextlib.contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    """Let modules be missing; those that were loaded meanwhile stay."""
    before = {
        name: module
        for name, module in sys.modules.items()
        if any(name == each or name.startswith(f"{each}.") for each in names)
    }
    for name in {*before, *names}:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in {*before, *names}:
            del sys.modules[name]
        sys.modules.update(before)


def said_to(code: str) -> Said:
    """What is said to a program's code, which stands behind `PRELUDE`."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(PRELUDE, names)
    try:
        exec(code, names)
    except Exception as error:
        return said_by(error)
    message = f"Nothing was said to: {code}"
    raise AssertionError(message)


def said_by(error: BaseException) -> Said:
    """What an exception says."""
    kind = type(error)
    if isinstance(error, DiasporaError):
        return Said(kind.__name__, error.message, error.hint)
    return Said(kind.__name__, str(error))
