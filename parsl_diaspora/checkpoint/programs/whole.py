"""The files of a program's state, read as they are together at one moment, or not at all."""

from __future__ import annotations

import mmap
import os
import stat
import tempfile
from collections.abc import Iterable, Sequence

from parsl_diaspora.checkpoint.digest import Buffer
from parsl_diaspora.checkpoint.programs.looks import Looks, looks_of
from parsl_diaspora.checkpoint.state import StateFile

_LARGE = 64 * 1024 * 1024  # bytes; a larger file is copied beside itself, not into memory
_PIECE = 16 * 1024 * 1024


class WholeFile(StateFile, frozen=True):
    """A file whose content has been read already.

    Attributes:
        data: the content.
        mode: of the file.
    """

    data: memoryview = memoryview(b"")
    mode: int = 0o600

    def read(self) -> tuple[Buffer, int]:
        """Content and mode."""
        return self.data, self.mode


def read_whole(
    patterns: Sequence[str], directory: str | os.PathLike[str] = "."
) -> tuple[Looks, dict[str, WholeFile]] | None:
    """The files that patterns name, and how they looked; None if one has changed while they were read.

    Large ones are copied to files without a name beside them, where the file system may share their blocks,
    so that memory holds no more of them than it has room for.

    Raises:
        OSError: one cannot be read.
    """
    before = looks_of(patterns, directory)
    try:
        files = {name: _read(name, directory) for name in before}
    except FileNotFoundError:
        return None
    if looks_of(patterns, directory) != before:
        return None
    if any(len(files[name].data) != look.size for name, look in before.items()):
        return None
    return before, files


def _read(name: str, directory: str | os.PathLike[str]) -> WholeFile:
    path = os.path.join(directory, name)
    with open(path, "rb", buffering=0) as file:
        known = os.fstat(file.fileno())
        large = known.st_size >= _LARGE
        data = _copy(file.fileno(), os.path.dirname(path) or ".") if large else file.readall()
    return WholeFile(name, memoryview(data), stat.S_IMODE(known.st_mode))


def _copy(source: int, beside: str) -> bytes | mmap.mmap:
    with tempfile.TemporaryFile(dir=beside) as copy:
        while os.sendfile(copy.fileno(), source, None, _PIECE):  # from where both are
            pass
        size = os.fstat(copy.fileno()).st_size
        return mmap.mmap(copy.fileno(), size, access=mmap.ACCESS_READ) if size else b""


def remove_others(
    patterns: Sequence[str], kept: Iterable[str], directory: str | os.PathLike[str] = "."
) -> list[str]:
    """Remove files that patterns name and a restored state does not have: they came after it.

    Returns:
        Their names.

    Raises:
        OSError: one cannot be removed.
    """
    others = sorted(set(looks_of(patterns, directory)).difference(kept))
    for name in others:
        os.unlink(os.path.join(directory, name))
    return others
