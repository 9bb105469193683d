"""Exits and interrupts of a task as failures of their own kinds. In stock Parsl each ends its worker."""

from __future__ import annotations

from parsl_diaspora.errors import TaskExited, TaskInterrupted, TaskLeft, TaskStopped
from parsl_diaspora.monitoring.worker.stopping import Leave, Stop


def as_failure(error: BaseException) -> Exception:
    """What the program gets to see of whatever ended a task.

    Example:
        >>> as_failure(SystemExit(3)).exit_code
        3
        >>> as_failure(KeyError("x"))
        KeyError('x')
    """
    if isinstance(error, Exception):
        return error
    failure = _failure(error)
    failure.__cause__ = None if isinstance(error, (Leave, Stop)) else error
    return failure.with_traceback(error.__traceback__)


def _failure(error: BaseException) -> Exception:
    if isinstance(error, Stop):
        return TaskStopped("The task was stopped while it ran, as it was asked to.")
    if isinstance(error, Leave):
        message = f"The task saved its state and left its place: {error.reason}."
        return TaskLeft(message, reason=error.reason, hint="Its next try goes on from there.")
    if isinstance(error, SystemExit):
        code = exit_code(error.code)
        words = f" It said: {error.code}" if isinstance(error.code, str) else ""
        return TaskExited(
            f"The task ended itself with exit code {code} and has no result.{words}",
            exit_code=code,
            hint="An app returns its result, or raises an exception that says what is wrong.",
        )
    kind = type(error).__qualname__
    message = f"The task was interrupted by {kind} and has no result."
    return TaskInterrupted(message, kind=kind, hint="An app raises exceptions derived from Exception.")


def exit_code(code: object) -> int:
    """What an exiting program would hand to its parent.

    Example:
        >>> exit_code(None), exit_code(3), exit_code("no input")
        (0, 3, 1)
    """
    if code is None:
        return 0
    return code if isinstance(code, int) else 1
