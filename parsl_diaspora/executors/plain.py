"""Plain data travels as pickles that `pickle` itself writes and reads: a tenth of the time, the same to all.

Parsl's serializer, dill, walks every object in Python, as it must for the functions and classes that it is
there for. Numbers, texts and containers of these need none of that, and they are what most tasks are called
with. What is written here is what Parsl's own readers expect, so a worker without this package reads it, too.
"""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from parsl.serialize import facade
from parsl.serialize.concretes import DillSerializer

#: What Parsl's serializer puts before its pickles.
PICKLED = DillSerializer.identifier + b"\n"
#: Beyond this many bytes Parsl warns of a large object, so it gets to see it.
LARGE = 1 << 20

_executor_log = logging.getLogger("parsl.executors.high_throughput.executor")
_SHOWN = 100
_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_NO_ARGUMENTS = (PICKLED + pickle.dumps(()), PICKLED + pickle.dumps({}))


class _NotPlain(Exception):
    """Something has to be pickled that is neither an atom nor a built-in container."""


class _PlainPickler(pickle.Pickler):
    """Pickles atoms and exact built-in containers of them, and gives up at anything else."""

    def reducer_override(self, obj: Any) -> Any:
        """Called for whatever is not plain."""
        raise _NotPlain


def dumps(value: Any) -> bytes | None:
    """A value as the pickle that Parsl would make of it; None if it is not plain data.

    Example:
        >>> pickle.loads(dumps({"seeds": [1, 2.5, "x"]}))
        {'seeds': [1, 2.5, 'x']}
        >>> dumps([len]) is None
        True
    """
    if type(value) in _ATOMS:
        return pickle.dumps(value)
    file = io.BytesIO()
    try:
        _PlainPickler(file).dump(value)
    except (_NotPlain, RecursionError):
        return None
    return file.getvalue()


def pack_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes | None:
    """A call with plain arguments, packed as Parsl packs it; None if that is left to Parsl.

    Raises:
        TypeError: the function cannot be serialized.
    """
    if not args and not kwargs:
        packed_args, packed_kwargs = _NO_ARGUMENTS
    elif (pickled := dumps(args)) is not None and (named := dumps(kwargs)) is not None:
        packed_args, packed_kwargs = PICKLED + pickled, PICKLED + named
    else:
        return None
    if not is_stock() or len(packed_args) > LARGE or len(packed_kwargs) > LARGE:
        return None
    packed_function = facade.serialize(function, buffer_threshold=LARGE)
    return bytes(facade.pack_buffers([packed_function, packed_args, packed_kwargs]))


def say_pushed(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What Parsl's executor writes to its debug log of a call."""
    if _executor_log.isEnabledFor(logging.DEBUG):
        shown = tuple(text if len(text := repr(arg)) < _SHOWN else f"{text[:_SHOWN]}..." for arg in args)
        _executor_log.debug("Pushing function %s to queue with args %s", function, shown)


def unpack_call(buffer: bytes, *, plain: bool) -> list[Any]:
    """Function, positional and named arguments of a packed call.

    Args:
        buffer: as `pack_call` or Parsl has packed it.
        plain: `pack_call` did.
    """
    if not plain:
        return list(facade.unpack_apply_message(buffer))
    function, args, kwargs = facade.unpack_buffers(buffer)
    if (args, kwargs) == _NO_ARGUMENTS:
        return [facade.deserialize(function), (), {}]
    return [facade.deserialize(function), _loads(args), _loads(kwargs)]


def _loads(packed: bytes) -> Any:
    return pickle.loads(packed[len(PICKLED) :])  # noqa: S301 - as Parsl's own reader would


def is_stock() -> bool:
    """Whether data is serialized in Parsl's own way, not in one that the program has registered."""
    first = next(iter(facade.methods_for_data.values()), None)
    return type(first) in (DillSerializer, PlainBytesSerializer)


class PlainBytesSerializer(DillSerializer):
    """Parsl's serializer of data, which gives bytes to `pickle`: readers see no difference."""

    def serialize(self, data: Any) -> bytes:
        """As Parsl's does."""
        return pickle.dumps(data) if type(data) is bytes else bytes(super().serialize(data))


def serialize_bytes_fast() -> None:
    """Let this worker send what our runner returns, which is bytes, without dill."""
    if is_stock():
        facade.register_method_for_data(PlainBytesSerializer())
