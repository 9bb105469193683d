"""What a provocation is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import msgspec


class Provocation(msgspec.Struct, frozen=True, kw_only=True):
    """One small way to make a task fail for real.

    Attributes:
        name: of its own.
        failure_class: that the failure belongs to.
        function: run by the worker with a scratch directory as its argument. For a bash app, what returns the
            command line.
        bash: whether it is a bash app.
        evidence: a pattern that the diagnosis's evidence must match.
        walltime: seconds after which Parsl ends it.
        argument: makes a further argument of the call.
        specification: resources that it asks for.
        deadly: it takes its worker along.
        by_stderr: only what the program wrote to stderr tells the class.
        in_group: it is for a pool in a control group of its own, see `resources.enter_group`.
        emulated: what stands for the real thing where that cannot be had on an ordinary machine; empty if
            the failure is a real one.
        possible: whether this machine can do it.
    """

    name: str
    failure_class: str
    function: Callable[..., Any]
    bash: bool = False
    evidence: str = "."
    walltime: float | None = None
    argument: Callable[[], Any] | None = None
    specification: dict[str, Any] | None = None
    deadly: bool = False
    by_stderr: bool = False
    in_group: bool = False
    emulated: str = ""
    possible: Callable[[], bool] = lambda: True


def python(
    failure_class: str, evidence: str = ".", *, name: str = "", **more: Any
) -> Callable[[Callable[..., Any]], Provocation]:
    """Make a provocation of a function that a Python app runs; its first argument is a scratch directory.

    Args:
        failure_class: that it must fall into.
        evidence: a pattern that the diagnosis's evidence must match.
        name: by default the function's.
        more: see `Provocation`.

    Example:
        >>> python("bug", "ZeroDivisionError")(lambda directory: 1 / 0).failure_class
        'bug'
    """

    def make(function: Callable[..., Any]) -> Provocation:
        return Provocation(
            name=name or function.__name__.replace("_", "-"),
            failure_class=failure_class,
            function=function,
            evidence=evidence,
            **more,
        )

    return make


def program(name: str, failure_class: str, command: str, evidence: str = ".", **more: Any) -> Provocation:
    """Make a provocation of a shell command that a bash app runs within a scratch directory."""
    return Provocation(
        name=name,
        failure_class=failure_class,
        function=Command(command, name),
        bash=True,
        evidence=evidence,
        **more,
    )


class Command:
    """The function of a bash app: returns its command line.

    Example:
        >>> Command("exit 3")("/tmp")
        'cd /tmp && { exit 3; }'
    """

    def __init__(self, command: str, name: str = "command") -> None:
        self.command = command
        self.__name__ = name

    def __call__(self, directory: str, **_: Any) -> str:
        """The command line, for a scratch directory."""
        return f"cd {shlex.quote(directory)} && {{ {self.command}; }}"
