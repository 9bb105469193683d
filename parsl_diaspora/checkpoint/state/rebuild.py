"""From buffers back to a state."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

from parsl_diaspora.checkpoint.state.files import StateFile, write_file
from parsl_diaspora.checkpoint.state.flatten import WHOLE
from parsl_diaspora.checkpoint.state.leaf import Leaf
from parsl_diaspora.errors import StateNotRestored


class Room(NamedTuple):
    """Memory that a part's bytes are read into.

    Attributes:
        leaf: what it will be.
        owner: the array or tensor that owns the memory; None for the others.
        buffers: to be filled.
    """

    leaf: Leaf
    owner: Any
    buffers: tuple[memoryview, ...]


def room_for(leaf: Leaf) -> Room:
    """Memory for a part: that of the array itself, so that nothing is copied afterwards.

    Raises:
        ImportError: it is an array or a tensor, and its library is not there.
    """
    if leaf.kind == "array":
        return _room_for_array(leaf)
    if leaf.kind == "tensor":
        return _room_for_tensor(leaf)
    return Room(leaf, None, tuple(memoryview(bytearray(size)) for size in leaf.sizes))


def _room_for_array(leaf: Leaf) -> Room:
    import numpy as np
    from numpy.lib.format import descr_to_dtype

    shape = leaf.shape[::-1] if leaf.order == "F" else leaf.shape
    array = np.empty(shape, dtype=descr_to_dtype(_tuples(leaf.dtype)))
    view = memoryview(array.reshape(-1).view(np.uint8))
    return Room(leaf, array.T if leaf.order == "F" else array, (view,))


def _tuples(described: Any) -> Any:
    """Fields of a structured type are tuples, which msgpack has made lists of."""
    if not isinstance(described, (list, tuple)):
        return described
    if described and all(isinstance(each, (list, tuple)) for each in described):
        return [tuple(_tuples(part) for part in each) for each in described]
    return tuple(_tuples(each) for each in described)


def _room_for_tensor(leaf: Leaf) -> Room:
    import torch

    tensor = torch.empty(leaf.shape, dtype=getattr(torch, leaf.dtype))
    view = memoryview(tensor.reshape(-1).view(torch.uint8).numpy())
    return Room(leaf, tensor, (view,))


def rebuild(rooms: Sequence[Room]) -> Any:
    """A state from its parts, when their memory is filled; files are written back.

    Raises:
        Exception: whatever unpickling raises.
        StateNotRestored: a file cannot be written.
    """
    values = {room.leaf.name: _value(room) for room in rooms}
    return values[WHOLE] if list(values) == [WHOLE] else values


def _value(room: Room) -> Any:
    leaf = room.leaf
    if leaf.kind == "array":
        return room.owner
    if leaf.kind == "tensor":
        return _on_its_device(room.owner, leaf.about)
    if leaf.kind == "file":
        return _written(leaf.about["path"], room.buffers[0], leaf.about["mode"])
    pickled, *outside = room.buffers
    return pickle.loads(pickled, buffers=outside)  # noqa: S301 - the store is the user's own


def _written(path: str, data: memoryview, mode: int) -> StateFile:
    try:
        write_file(path, data, mode)
    except OSError as error:  # some files of the state may be back already: it must not begin anew with these
        message = f"The file {path} of the saved state cannot be written back: {error.strerror or error}."
        hint = "Look at the place where the task ran, or let it be tried at another one."
        raise StateNotRestored(message, errno=error.errno, hint=hint) from error
    return StateFile(path)


def _on_its_device(tensor: Any, about: dict[str, Any]) -> Any:
    """Where it was, if there is such a device here; else in main memory."""
    import torch

    device = torch.device(about.get("device", "cpu"))
    if device.type == "cuda" and torch.cuda.is_available():
        tensor = tensor.to(device)
    return tensor.requires_grad_(bool(about.get("requires_grad")))
