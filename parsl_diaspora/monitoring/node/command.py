"""The pool's command line: what it tells, and how the pool is started from it."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import msgspec

_SHIM = Path(__file__).with_name("pool.py")
_UID = ("-u", "--uid")


class PoolCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A worker pool's script and arguments.

    Attributes:
        script: as it was given, usually ``process_worker_pool.py``.
        arguments: of the script.
    """

    script: str
    arguments: tuple[str, ...]

    def value(self, *names: str, default: str = "") -> str:
        """What an option was given, the last time that it was; written as ``-x 1``, ``-x1`` or ``--long=1``.

        Example:
            >>> command = PoolCommand(script="pool", arguments=("-a", "h1,h2", "--port=54000", "-b7"))
            >>> command.value("-P", "--port"), command.value("-a", "--addresses"), command.value("-b")
            ('54000', 'h1,h2', '7')
        """
        found = default
        for name, value in self._options():
            if name in names:
                found = value
        return found

    def _options(self) -> list[tuple[str, str]]:
        following = (*self.arguments[1:], "")
        options = []
        for argument, after in zip(self.arguments, following, strict=False):
            if argument.startswith("--"):
                name, equals, value = argument.partition("=")
                options.append((name, value if equals else after))
            elif argument.startswith("-") and len(argument) > 1:
                options.append((argument[:2], argument[2:].removeprefix("=") or after))
        return options

    @property
    def uid(self) -> str:
        """The manager's id; empty if the pool would choose one."""
        return self.value(*_UID)

    def with_uid(self, uid: str) -> PoolCommand:
        """The same command for a manager of that id: an option that is given later counts."""
        kept = _without(self.arguments, _UID)
        return PoolCommand(script=self.script, arguments=("-u", uid, *kept))

    def stock(self) -> list[str]:
        """The arguments of the stock pool's process."""
        return [self.script, *self.arguments]

    def around(self) -> list[str]:
        """The arguments of a process that runs the stock pool within `pool.py`; empty if that cannot be done.

        It has to be the interpreter that the script would run with, which its first line tells.
        """
        path = shutil.which(self.script)
        interpreter = interpreter_of(path) if path else []
        return [*interpreter, str(_SHIM), path, *self.arguments] if path and interpreter else []

    def is_ours(self) -> bool:
        """Whether the pool's interpreter is this one, so that what is installed here is installed there."""
        path = shutil.which(self.script)
        interpreter = interpreter_of(path) if path else []
        return bool(interpreter) and interpreter[0] == sys.executable


def new_uid() -> str:
    """An id for a manager, as stock makes them."""
    return os.urandom(6).hex()


def interpreter_of(script: str | os.PathLike[str]) -> list[str]:
    """The Python, with its options, that a script names in its first line; empty for none that is known.

    Scripts that ``pip`` has installed under a long path begin with a line for the shell.
    """
    try:
        with open(script, "rb") as file:
            head = file.read(4096).decode(errors="replace").splitlines()
    except OSError:
        return []
    if len(head) > 1 and head[0] == "#!/bin/sh" and (long := re.match(r"'''exec' \"?([^\" ]+)\"?", head[1])):
        return _checked([long[1]])
    words = head[0][2:].split() if head and head[0].startswith("#!") else []
    if words and Path(words[0]).name == "env":
        found = shutil.which(words[1]) if len(words) > 1 and not words[1].startswith("-") else None
        words = [found, *words[2:]] if found else []
    return _checked(words)


def _checked(words: list[str]) -> list[str]:
    is_python = bool(words) and Path(words[0]).name.startswith(("python", "pypy"))
    return words if is_python and os.access(words[0], os.X_OK) else []


def parsl_version() -> str:
    """The version that Parsl's pool in this environment calls itself; without importing Parsl.

    Raises:
        LookupError: there is none.
    """
    spec = find_spec("parsl")
    if spec is None or spec.origin is None:
        message = "Parsl is not installed here."
        raise LookupError(message)
    return str(runpy.run_path(str(Path(spec.origin).with_name("version.py")))["VERSION"])


def _without(arguments: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    kept, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in names:
            skip = True
        elif not argument.startswith(tuple(f"{name}=" for name in names if name.startswith("--"))):
            kept.append(argument)
    return kept
