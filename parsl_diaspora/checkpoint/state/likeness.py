"""Whether a saved state is one that the program, as it is now, can go on from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from parsl_diaspora.checkpoint.state.leaf import Leaf
from parsl_diaspora.errors import StateChanged


def check_likeness(leaves: Sequence[Leaf], default: Any) -> None:
    """Compare what was saved with what the task would begin with.

    Arrays and tensors that both have must have the same shape and type of elements. Names that only one of
    them has are no objection: a program may begin with less than it saves.

    Args:
        leaves: what was saved.
        default: what the task gave to `restore`.

    Raises:
        StateChanged: an array has another shape or another type.
    """
    if not isinstance(default, Mapping):
        return
    by_name = {leaf.name: leaf for leaf in leaves}
    for name, saved, now in _differences(by_name, default):
        message = f"The state's part {name!r} was saved as {saved}, and the task begins with {now}."
        hint = (
            "The program has changed since: give the app another checkpoint key, or remove its checkpoints."
        )
        raise StateChanged(message, part=name, hint=hint)


def _differences(by_name: Mapping[str, Leaf], default: Mapping[Any, Any]) -> Iterator[tuple[str, str, str]]:
    for name, value in default.items():
        leaf = by_name.get(name)
        if leaf is None or leaf.kind not in ("array", "tensor"):
            continue
        saved = f"{_A[leaf.kind]} of {_type_words(leaf.dtype)} {list(leaf.shape)}"
        now = _described(value)
        if now and now != saved:
            yield name, saved, now


_A = {"array": "an array", "tensor": "a tensor"}


def _type_words(described: Any) -> str:
    """A type as ``numpy.lib.format`` describes it, in words."""
    if isinstance(described, str):
        return described
    return "{" + ", ".join(_field_words(*field) for field in described) + "}"


def _field_words(name: Any, described: Any, shape: Sequence[int] = ()) -> str:
    named = name if isinstance(name, str) else name[-1]  # the other one is its title
    return f"{named or 'gap'} {_type_words(described)}{list(shape) if shape else ''}"


def _type_of(dtype: Any) -> str:
    if dtype.names is None:
        return str(dtype.str)
    try:
        return _type_words(dtype.descr)
    except ValueError:  # its fields overlap
        return str(dtype)


def _described(value: Any) -> str:
    """An array or tensor in words; empty for anything else."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return f"an array of {_type_of(value.dtype)} {list(value.shape)}"
    if torch is not None and isinstance(value, torch.Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return ""
