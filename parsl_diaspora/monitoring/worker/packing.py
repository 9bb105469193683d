"""Results and exceptions as bytes: what Parsl does, in less time where that is the same."""

from __future__ import annotations

from typing import Any

from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import serialize

from parsl_diaspora.errors import ExceptionUnreadable
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.executors.plain import PICKLED, dumps
from parsl_diaspora.failures.evidence import describe


def pack_result(outcome: Any, report: Report) -> bytes:
    """A task's result; raises what pickling the program's objects raises."""
    pickled = dumps(outcome)
    report.plain = pickled is not None
    return serialize(outcome) if pickled is None else PICKLED + pickled


def pack_exception(error: BaseException, wrapper: RemoteExceptionWrapper | None) -> bytes:
    """An exception as Parsl sends it, without its causes if these cannot travel; empty if itself cannot."""
    for pack in (_pack, _pack_without_causes):
        try:
            return pack(error, wrapper)
        except BaseException:  # noqa: BLE001, S112 - the program's __reduce__ may do anything; its description travels
            continue
    return b""


def _pack(error: BaseException, wrapper: RemoteExceptionWrapper | None) -> bytes:
    return serialize(wrapper or RemoteExceptionWrapper(type(error), error, error.__traceback__))


def _pack_without_causes(error: BaseException, _: RemoteExceptionWrapper | None) -> bytes:
    """Parsl lets exceptions be pickled with what they came from, which is told in words here."""
    cause, context, hidden = error.__cause__, error.__context__, error.__suppress_context__
    error.__context__ = None
    error.__cause__ = None if cause is None else _in_words(cause)
    try:
        return _pack(error, None)
    finally:
        error.__cause__, error.__context__, error.__suppress_context__ = cause, context, hidden


def _in_words(error: BaseException) -> ExceptionUnreadable:
    told = describe(error, traceback_limit=0)
    return ExceptionUnreadable(f"{told.type}: {told.message}", chain=told.chain)
