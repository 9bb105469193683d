"""Files as parts of a state."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from parsl_diaspora.checkpoint.digest import Buffer

#: How files end that are being written back: they are nobody's state.
RESTORING = ".restoring"


class StateFile(msgspec.Struct, frozen=True):
    """A file whose content belongs to a task's state.

    Saving reads it; restoring writes it back to the same path before `restore` returns.

    Attributes:
        path: absolute, or relative to the task's working directory.

    Example:
        >>> StateFile("model.bin").path
        'model.bin'
    """

    path: str

    def read(self) -> tuple[Buffer, int]:
        """Content and mode.

        Raises:
            OSError: it cannot be read.
            ValueError: it changed while it was read.
        """
        return read_file(self.path)


def read_file(path: str) -> tuple[bytes, int]:
    """Content and mode of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it changed while it was read, so what was read may be half of each.
    """
    with open(path, "rb") as file:
        before = os.fstat(file.fileno())
        data = file.read()
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(
        data
    ) != after.st_size:
        message = f"{path} changed while it was read."
        raise ValueError(message)
    return data, stat.S_IMODE(after.st_mode)


def write_file(path: str, data: Buffer, mode: int) -> None:
    """Put a file back, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}{RESTORING}")
    try:
        with open(beside, "xb") as file:
            file.write(data)
        beside.chmod(mode)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
