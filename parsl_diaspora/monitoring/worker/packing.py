"""Results and exceptions as bytes: what Parsl does, in less time where that is the same."""

from __future__ import annotations

from typing import Any

from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import serialize

from parsl_diaspora.executors.launch import Report
from parsl_diaspora.executors.plain import PICKLED, dumps


def pack_result(outcome: Any, report: Report) -> bytes:
    """A task's result; raises what pickling the program's objects raises."""
    pickled = dumps(outcome)
    report.plain = pickled is not None
    return serialize(outcome) if pickled is None else PICKLED + pickled


def pack_exception(error: BaseException, wrapper: RemoteExceptionWrapper | None) -> bytes:
    """An exception as Parsl sends it, without its causes if these cannot travel; empty if itself cannot."""
    for make in (lambda: wrapper or _wrapped(error), lambda: _without_causes(error)):
        try:
            return serialize(make())
        except BaseException:  # noqa: BLE001, S112 - the program's own __reduce__ may do anything; its description travels
            continue
    return b""


def _wrapped(error: BaseException) -> RemoteExceptionWrapper:
    return RemoteExceptionWrapper(type(error), error, error.__traceback__)


def _without_causes(error: BaseException) -> RemoteExceptionWrapper:
    cause, error.__cause__ = error.__cause__, None
    try:
        return _wrapped(error)
    finally:
        error.__cause__ = cause
