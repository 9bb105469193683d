"""One small value in a file: one process replaces it as a whole, others often look if it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class SharedFile(Generic[T]):
    """A value of one type, as JSON. It travels by pickle.

    Args:
        path: of the file.
        kind: type of the value.
        otherwise: what counts while the file is missing, unreadable, or makes no sense.

    Example:
        >>> import tempfile
        >>> file = SharedFile(Path(tempfile.mkdtemp()) / "n.json", list[int], [])
        >>> file.read()
        []
        >>> file.write([1, 2])
        >>> file.read()
        [1, 2]
    """

    def __init__(self, path: Path, kind: type[T], otherwise: T) -> None:
        self.path = path
        self._kind = kind
        self._otherwise = otherwise
        self._value = otherwise
        self._seen: tuple[int, int, int] | None = None

    def read(self) -> T:
        """The value; the file is read only when it is another one than before."""
        try:
            found = os.stat(self.path)
            seen = found.st_mtime_ns, found.st_ino, found.st_size
            if seen != self._seen:
                self._value = msgspec.json.decode(self.path.read_bytes(), type=self._kind)
                self._seen = seen
        except (OSError, ValueError, RecursionError):  # msgspec's errors are ValueErrors
            self._seen, self._value = None, self._otherwise
        return self._value

    def write(self, value: T) -> None:
        """Replace the value.

        Raises:
            OSError: the file cannot be written.
        """
        temporary = self.path.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(value))
        temporary.replace(self.path)
