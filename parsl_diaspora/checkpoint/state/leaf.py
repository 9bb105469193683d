"""One named part of a state, described so that it can be built anew from its bytes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Kind = Literal["array", "tensor", "object", "file"]


class Leaf(msgspec.Struct, frozen=True, array_like=True):
    """A part of a state, without its bytes.

    Attributes:
        name: under which the state has it.
        kind: what it is.
        sizes: bytes of each of its buffers. An array, a tensor or a file has one; an object has its pickle,
            and then what that left out of band.
        dtype: of an array, as ``numpy.lib.format`` describes it; of a tensor, its name.
        shape: of an array or tensor.
        order: of an array in memory: C or F.
        about: what else is to be known: a file's path and mode, a tensor's device.
    """

    name: str
    kind: Kind
    sizes: tuple[int, ...]
    dtype: Any = None
    shape: tuple[int, ...] = ()
    order: str = "C"
    about: dict[str, Any] = {}

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.sizes)
