"""A task whose dependency failed says so in full: the root cause, in which task, and how to see it."""

from __future__ import annotations

import re
from typing import Any

from parsl.dataflow.errors import DependencyError, JoinError, PropagatedException

from parsl_diaspora.failures.evidence import clean_text, message_of

TEXT_LIMIT = 300
_TASK = re.compile(r"task (\d+)")


class _Told:
    """How both kinds put what has happened into words."""

    _words = ""

    def __str__(self) -> str:
        return self._words


class DependencyFailed(_Told, DependencyError):
    """Parsl's own error for a task that never ran, with the root cause in its message."""


class JoinFailed(_Told, JoinError):
    """Parsl's own error for a join app whose inner tasks failed, with the root cause in its message."""


_CLASSES: dict[type, type] = {DependencyError: DependencyFailed, JoinError: JoinFailed}


def tell_root(error: BaseException, run: str, names: dict[int, str]) -> None:
    """Let an error of Parsl's about other tasks name the root cause. It stays what it is otherwise.

    Args:
        error: that is about to end a task; others than Parsl's two are left alone.
        run: Parsl's run id.
        names: of the apps of tasks, as far as they are known.

    Example:
        >>> error = DependencyError([(ValueError("no such seed"), "task 3")], 5)
        >>> tell_root(error, "c38a0c1a-3d4a", {3: "simulate"})
        >>> str(error).partition(" See: ")[0]
        'Task 5 never ran, because task 3 (simulate) failed with ValueError: no such seed.'
    """
    told = _CLASSES.get(type(error))
    if told is None or not isinstance(error, PropagatedException):
        return
    words = _words_of(error, run, names)
    error.__class__ = told
    vars(error)["_words"] = words


def root_task(error: BaseException) -> int | None:
    """The task whose failure is the root cause of an error about other tasks; None for any other error."""
    if not isinstance(error, PropagatedException):
        return None
    _, chain, _ = _root_of(error)
    return chain[-1] if chain else None


def _words_of(error: PropagatedException, run: str, names: dict[int, str]) -> str:
    root, chain, others = _root_of(error)
    what = "never ran" if isinstance(error, DependencyError) else "failed"
    who = chain[-1] if chain else None
    name = f" ({names[who]})" if who is not None and names.get(who) else ""
    cause = clean_text(lambda: f"{type(root).__name__}: {message_of(root)}", None)[:TEXT_LIMIT].rstrip(".")
    culprit = f"task {who}{name} failed" if who is not None else "what it waits for failed"
    via = (
        f", by way of {', '.join(f'task {number}' for number in reversed(chain[:-1]))}" if chain[:-1] else ""
    )
    more = f"; {others} more of what it waits for failed, too" if others else ""
    see = f" See: parsl-diaspora explain {run[:8]} {who}" if who is not None else ""
    return f"Task {error.task_id} {what}, because {culprit} with {cause}{via}{more}.{see}"


def _root_of(error: PropagatedException) -> tuple[BaseException, list[int], int]:
    """The root, the tasks on the way to it (itself last), and how many others failed beside the first."""
    chain: list[int] = []
    others = len(error.dependent_exceptions_tids) - 1
    found: Any = error
    while isinstance(found, PropagatedException) and found.dependent_exceptions_tids:
        found, described = found.dependent_exceptions_tids[0]
        if (match := _TASK.search(described)) is not None:
            chain.append(int(match[1]))
    return found, chain, max(0, others)
