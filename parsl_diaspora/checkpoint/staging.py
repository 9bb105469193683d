"""Memory that a state is copied to, so that its task goes on while the copy is written."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from contextlib import suppress

from parsl_diaspora.checkpoint.state import Piece

_PAGE = 4096
_ALIGN = 64
_SLICE = 256 * 1024 * 1024  # bytes copied before other threads get their turn: many small copies are slower
_TOUCHED = 4 * 1024 * 1024  # bytes touched at once
_TOO_LARGE = 2  # memory that is so many times as large as what it is for is given back


class Staging:
    """One block of memory, kept from save to save: touching new pages takes ten times as long as copying.

    Example:
        >>> from parsl_diaspora.checkpoint.state import flatten
        >>> staging = Staging()
        >>> original = {"x": bytearray(b"before")}
        >>> copied = staging.copy(flatten(original))
        >>> original["x"][:] = b"after!"
        >>> b"before" in b"".join(copied[0].buffers)
        True
        >>> copied = None
        >>> staging.close()
    """

    def __init__(self) -> None:
        self._memory: mmap.mmap | None = None

    def copy(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The same pieces in this memory; what was copied here before is gone.

        Bytes that nobody can change, as those of pickles and files, stay where they are.

        Raises:
            OSError, MemoryError: there is not so much memory.
        """
        changing = [view for piece in pieces for view in piece.buffers if not _is_constant(view)]
        memory = self._fit(sum(_aligned(view.nbytes) for view in changing))
        copied, at = [], 0
        with memoryview(memory) as whole:
            for piece in pieces:
                views = []
                for view in piece.buffers:
                    if _is_constant(view):
                        views.append(view)
                        continue
                    target = whole[at : at + view.nbytes]
                    _copy(view, target)
                    views.append(target)
                    at += _aligned(view.nbytes)
                copied.append(Piece(piece.leaf, tuple(views)))
        return copied

    def prepare(self, size: int) -> None:
        """Touch memory for so many bytes, piece by piece: the first copy then takes no longer than others."""
        with suppress(OSError, MemoryError):  # the first save will say so
            memory, zeros = self._fit(_with_room(size)), bytes(_TOUCHED)
            for begin in range(0, len(memory), _TOUCHED):
                end = min(begin + _TOUCHED, len(memory))
                memory[begin:end] = zeros[: end - begin]

    def _fit(self, size: int) -> mmap.mmap:
        size = max(size, _PAGE)
        known = self._memory
        if known is not None and size <= len(known) <= size * _TOO_LARGE:
            return known
        self.close()
        memory = self._memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError, AttributeError):
            memory.madvise(mmap.MADV_HUGEPAGE)
        return memory

    def close(self) -> None:
        """Give the memory back, as soon as nobody looks at it any more."""
        memory, self._memory = self._memory, None
        if memory is not None:
            with suppress(BufferError):  # somebody still looks: it goes with the last of them
                memory.close()


def _with_room(size: int) -> int:
    """Parts are aligned, and a state has a little beside its arrays."""
    return size + size // 64 + _PAGE


def _is_constant(view: memoryview) -> bool:
    return type(view.obj) is bytes


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


def _copy(source: memoryview, target: memoryview) -> None:
    flat = source.cast("B")
    for begin in range(0, flat.nbytes, _SLICE):
        target[begin : begin + _SLICE] = flat[begin : begin + _SLICE]
