"""From a state to named buffers, which are views of the state's own memory where that can be."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from parsl_diaspora.checkpoint.state.files import StateFile
from parsl_diaspora.checkpoint.state.leaf import Leaf
from parsl_diaspora.errors import StateNotSavable

#: The name of the only part of a state that is no mapping.
WHOLE = ""
_PROTOCOL = 5  # the first with buffers out of band


class Piece(NamedTuple):
    """A part of a state with its bytes.

    Attributes:
        leaf: what it is.
        buffers: views of its bytes; they show what the state holds when they are read.
    """

    leaf: Leaf
    buffers: tuple[memoryview, ...]


def flatten(state: Any) -> list[Piece]:
    """A state's parts, in its own order.

    Args:
        state: a mapping from names to arrays, tensors, `StateFile` or anything that can be pickled; or one
            such value alone.

    Raises:
        StateNotSavable: a name is no text, a part cannot be pickled, a file cannot be read.

    Example:
        >>> [(piece.leaf.name, piece.leaf.kind) for piece in flatten({"step": 3})]
        [('step', 'object')]
    """
    if not isinstance(state, Mapping):
        return [_piece(WHOLE, state)]
    return [_piece(name, value) for name, value in _checked(state)]


def _checked(state: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if not isinstance(name, str) or not name or not _is_text(name):
            message = f"A part of the state is called {name!r}; parts of a state are named by texts."
            raise StateNotSavable(message, part=repr(name), hint="Save the whole as {'state': ...}.")
        yield name, value


def _is_text(text: str) -> bool:
    """Whether it can be written down: halves of letters, as names of files may have them, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _piece(name: str, value: Any) -> Piece:
    if isinstance(value, StateFile):
        return _file(name, value)
    if _is_plain_array(value):
        return _array(name, value)
    if _is_plain_tensor(value):
        return _tensor(name, value)
    return _object(name, value)


def _is_plain_array(value: Any) -> bool:
    """Whether its bytes are all there is to it."""
    numpy = sys.modules.get("numpy")
    return (
        numpy is not None
        and type(value) is numpy.ndarray
        and not value.dtype.hasobject
        and value.dtype.itemsize > 0
        and value.dtype.metadata is None
        and (value.dtype.names is None or _can_be_described(value.dtype))
    )


def _can_be_described(dtype: Any) -> bool:
    """Whether all is told by the fields in their order: they may overlap, or stand in another one."""
    from numpy.lib.format import descr_to_dtype, dtype_to_descr

    try:
        return bool(descr_to_dtype(dtype_to_descr(dtype)) == dtype)
    except ValueError:
        return False


def _array(name: str, array: Any) -> Piece:
    import numpy as np
    from numpy.lib.format import dtype_to_descr

    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    if array.flags.c_contiguous or order == "F":
        flat = array.T if order == "F" else array
        view = memoryview(flat.reshape(-1).view(np.uint8))
    else:
        view = memoryview(array.tobytes())  # a copy that nobody can change: it needs no other one
    dtype = dtype_to_descr(array.dtype)
    return Piece(Leaf(name, "array", (view.nbytes,), dtype, array.shape, order), (view,))


def _is_plain_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and type(value) is torch.Tensor and value.layout is torch.strided


def _tensor(name: str, tensor: Any) -> Piece:
    torch = sys.modules["torch"]
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    view = memoryview(flat)
    about = {"device": str(tensor.device), "requires_grad": bool(tensor.requires_grad)}
    dtype = str(tensor.dtype).removeprefix("torch.")
    return Piece(Leaf(name, "tensor", (view.nbytes,), dtype, tuple(tensor.shape), "C", about), (view,))


def _file(name: str, file: StateFile) -> Piece:
    try:
        if not _is_text(file.path):
            raise ValueError(f"{file.path!r} is no text")
        data, mode = file.read()
    except (OSError, ValueError) as error:
        message = f"The file of the state's part {name!r} cannot be saved: {error}"
        raise StateNotSavable(message, part=name, hint="Save it when it is written and closed.") from error
    about = {"path": file.path, "mode": mode}
    view = memoryview(data)
    return Piece(Leaf(name, "file", (view.nbytes,), about=about), (view,))


def _object(name: str, value: Any) -> Piece:
    outside: list[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(value, protocol=_PROTOCOL, buffer_callback=outside.append)
        views = [memoryview(pickled), *(_raw(each) for each in outside)]
    except Exception as error:
        message = f"The state's part {name!r}, a {type(value).__name__}, cannot be pickled: {error}"
        hint = "Save what it can be made of again: arrays, numbers, texts."
        raise StateNotSavable(message, part=name, hint=hint) from error
    return Piece(Leaf(name, "object", tuple(view.nbytes for view in views)), tuple(views))


def _raw(buffer: pickle.PickleBuffer) -> memoryview:
    return buffer.raw()
