"""Compression of chunks, where it pays: where time saved in writing is more than the time that it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from parsl_diaspora.checkpoint.digest import Buffer
from parsl_diaspora.errors import CheckpointDamaged

_LEVEL = 1
_SAMPLE = 16 * 1024  # bytes
_MOST_SKIPPED = 64  # chunks that are not tried after many for which it did not pay
_PAYS = 0.9  # part of the bytes that must remain at most, however slow the store is


def zstd() -> Any:
    """The ``zstandard`` library; None if it is not there."""
    try:
        import zstandard
    except ImportError:
        return None
    return zstandard


class Packing:
    """Decides chunk by chunk whether it is compressed, and does it.

    Args:
        speed: what the store writes, bytes a second; 0 if that is not known yet.
        library: as `zstd` gives it; None compresses nothing.
        now: seconds that never go back.
    """

    def __init__(
        self, speed: float = 0.0, library: Any = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._speed = speed
        self._packer = library.ZstdCompressor(level=_LEVEL) if library is not None and speed > 0 else None
        self._now = now
        self._failed = self._skip = 0

    def pack(self, chunk: memoryview) -> tuple[Buffer, bool]:
        """A chunk as it is stored, and whether that is compressed."""
        if self._packer is None or not self._may_pay(chunk):
            return chunk, False
        packed = self._packer.compress(chunk)
        return (packed, True) if len(packed) < chunk.nbytes else (chunk, False)

    def _may_pay(self, chunk: memoryview) -> bool:
        """Trying takes time, too: the longer it has not paid, the fewer are tried."""
        if self._skip:
            self._skip -= 1
            return False
        pays = self._pays(chunk)
        self._failed = 0 if pays else self._failed + 1
        self._skip = min(self._failed * self._failed, _MOST_SKIPPED)
        return pays

    def _pays(self, chunk: memoryview) -> bool:
        sample = chunk[:_SAMPLE]
        began = self._now()
        left = len(self._packer.compress(sample)) / max(sample.nbytes, 1)  # type: ignore[union-attr]
        spent = self._now() - began
        return left < _PAYS and spent < (1.0 - left) * sample.nbytes / self._speed


def unpack_chunk(stored: Buffer, size: int) -> bytes:
    """A compressed chunk as it was.

    Raises:
        CheckpointDamaged: it is none, has another size, or there is nothing here that could read it.
    """
    library = zstd()
    if library is None:
        message = "The save is compressed with zstd, which cannot be read here."
        raise CheckpointDamaged(message, hint="Install zstandard: parsl-diaspora[checkpoint] brings it.")
    try:
        data: bytes = library.ZstdDecompressor().decompress(stored, max_output_size=size)
    except library.ZstdError as error:
        raise CheckpointDamaged(f"A chunk cannot be decompressed: {error}") from error
    if len(data) != size:
        raise CheckpointDamaged(f"A chunk has {len(data)} bytes instead of {size}.")
    return data
