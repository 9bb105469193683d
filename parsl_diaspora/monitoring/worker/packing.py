"""Function, arguments and results as bytes and back: what Parsl does, in less time where that is the same.

Parsl's serializer is dill, in Python. For plain data it writes what pickle, in C, writes as well.
"""

from __future__ import annotations

import pickle
from typing import Any

from parsl.app.errors import RemoteExceptionWrapper
from parsl.serialize import deserialize, serialize
from parsl.serialize.concretes import DillSerializer
from parsl.serialize.facade import pack_buffers, register_method_for_data, unpack_buffers

from parsl_diaspora.errors import ExceptionUnreadable
from parsl_diaspora.executors.launch import MAGIC, PICKLED, Report
from parsl_diaspora.failures.evidence import describe

#: What Parsl's serializer would write for these types, pickle writes in a twentieth of the time.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, bytearray})

#: dill's reading differs from pickle's only where one of these is named.
_OF_DILL = (b"dill", b"__main__", b"__builtin__")
_QUICK = 16 * 2**20  # bytes up to which looking for these costs nothing to speak of
_NOTHING = pack_buffers([serialize(()), serialize({})])


def unpack(buffer: bytes) -> tuple[Any, Any, Any]:
    """Function, arguments and keyword arguments; raises what rebuilding the program's objects raises."""
    if buffer.endswith(_NOTHING):
        parts = unpack_buffers(buffer[: -len(_NOTHING)])
        if len(parts) == 1:
            return deserialize(parts[0]), (), {}
    function, args, kwargs = unpack_buffers(buffer)
    return deserialize(function), _rebuilt(args), _rebuilt(kwargs)


def _rebuilt(part: bytes) -> Any:
    if part.startswith(PICKLED) and len(part) < _QUICK and not any(word in part for word in _OF_DILL):
        return pickle.loads(part[len(PICKLED) :])  # noqa: S301 - as deserialize would
    return deserialize(part)


def pack_result(outcome: Any, report: Report) -> bytes:
    """A task's result; raises what pickling the program's objects raises."""
    kind = type(outcome)
    if kind in _PLAIN:
        report.plain = True
        return PICKLED + pickle.dumps(outcome)
    if kind in _CONTAINERS:
        try:
            return PICKLED + pickle.dumps(outcome)
        except Exception:  # noqa: BLE001 - something in it only dill can do, or nothing can
            return serialize(outcome)
    return serialize(outcome)


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


class _Quick(DillSerializer):
    """Parsl's serializer for data; what this runner returns is bytes, which pickle writes as well."""

    def serialize(self, data: Any) -> bytes:
        if type(data) is bytes and data.startswith(MAGIC):
            return pickle.dumps(data)
        return super().serialize(data)


def serialize_quickly() -> None:
    """Let this worker send what the runner returns in a twentieth of the time. The bytes are the same."""
    register_method_for_data(_Quick())
