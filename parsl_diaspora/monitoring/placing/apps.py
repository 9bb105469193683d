"""Where an app may run.

Parsl keeps no record of an app's ``executors`` with its tasks, so it is looked up where the author put it:
the app object that bears the function's name in the function's module. An app that is not found there may
go where Parsl itself has placed it before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakKeyDictionary

from parsl.app.app import AppBase
from parsl.data_provider.files import File

from parsl_diaspora.monitoring.placing.needs import identity_of, modules_of
from parsl_diaspora.recovery.options import options_of, original

INTERNAL = "_parsl_internal"


def declared_executors(function: Any, known: Mapping[str, Any]) -> frozenset[str] | None:
    """Labels that the author of an app allows; None if the app object cannot be found.

    Args:
        function: what the author wrote, without Parsl's wrappers.
        known: the program's executors by label.
    """
    app = _app_of(function)
    if app is None:
        return None
    if app.executors == "all":
        return frozenset(known) - {INTERNAL}
    return frozenset(app.executors) & frozenset(known)


class AppNotes:
    """What is known of one app.

    Attributes:
        placed: labels of the executors that Parsl itself has sent its tasks to.
        declared: what `declared_executors` found; not looked up yet if False.
        identity: what tells the function from others; empty if it was not looked at yet.
        modules: what it imports; None if it was not looked at yet.
        memory: bytes that its author says it needs, 0 for nothing said; None if it was not looked at yet.
    """

    __slots__ = ("declared", "identity", "memory", "modules", "placed")

    def __init__(self) -> None:
        self.placed: set[str] = set()
        self.declared: frozenset[str] | Literal[False] | None = False
        self.identity = ""
        self.modules: frozenset[str] | None = None
        self.memory: int | None = None


class Apps:
    """Notes on each app, kept as long as its function lives. Apps of the same name are told apart."""

    def __init__(self) -> None:
        self._notes: WeakKeyDictionary[Any, AppNotes] = WeakKeyDictionary()

    def of(self, function: Any) -> AppNotes:
        """The notes on the app of a task's function, however Parsl has wrapped it."""
        try:
            if (notes := self._notes.get(function)) is None:
                notes = self._notes[function] = self._of_original(original(function))
        except TypeError:  # a callable of a kind that cannot be a key: nothing is remembered of it
            return AppNotes()
        return notes

    def _of_original(self, function: Any) -> AppNotes:
        """They are kept under Parsl's wrapper, too: looking through that takes longer than all the rest."""
        if (notes := self._notes.get(function)) is None:
            notes = self._notes[function] = AppNotes()
        return notes

    def declared(self, function: Any, known: Mapping[str, Any]) -> frozenset[str] | None:
        """`declared_executors` of a task's function, looked up once."""
        notes = self.of(function)
        if notes.declared is False:
            notes.declared = declared_executors(original(function), known)
        return notes.declared

    def identity(self, function: Any) -> str:
        """`identity_of` a task's function, looked up once."""
        notes = self.of(function)
        if not notes.identity:
            notes.identity = identity_of(original(function))
        return notes.identity

    def modules(self, function: Any) -> frozenset[str]:
        """`modules_of` a task's function, looked up once."""
        notes = self.of(function)
        if notes.modules is None:
            notes.modules = modules_of(original(function))
        return notes.modules

    def memory(self, function: Any) -> int:
        """Bytes that the author of a task's function says it needs, looked up once; 0 for nothing said."""
        notes = self.of(function)
        if notes.memory is None:
            notes.memory = options_of(function).memory or 0
        return notes.memory


def has_staged_files(task: Mapping[str, Any]) -> bool:
    """Whether Parsl has staged files for this task: that was for one executor, and is not done again."""
    kwargs = task["kwargs"]
    values = [*task["args"], *kwargs.values(), *(kwargs.get("inputs") or ()), *(kwargs.get("outputs") or ())]
    return any(isinstance(value, File) and value.scheme != "file" for value in values)


def _app_of(function: Any) -> AppBase | None:
    found: Any = getattr(function, "__globals__", {})
    for number, name in enumerate(getattr(function, "__qualname__", "").split(".")):
        found = found.get(name) if number == 0 else getattr(found, name, None)
    if isinstance(found, AppBase) and original(getattr(found, "func", None)) is function:
        return found
    return None
