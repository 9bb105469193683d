"""A directory that keeps saves: on the node's own disk, or shared by all nodes."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from parsl_diaspora.checkpoint.digest import Buffer
from parsl_diaspora.checkpoint.store.flushing import Flushing

_UNFINISHED = ".part"
_numbers = itertools.count()


class DirectoryLevel:
    """Objects as files, each written beside its name and renamed when it is on the disk.

    What is unfinished of a name before that of a new object was left by a process that is dead, or has been
    given up: it is removed, so that kills do not fill the disk.

    Args:
        path: made when something is kept there, for this user only.

    Attributes:
        url: the path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).expanduser().absolute()
        self.url = str(self._path)

    def names(self, key: str) -> list[str]:
        """See `Level`."""
        return sorted(name for name in _listed(self._path / key) if not name.startswith("."))

    def all_keys(self) -> list[str]:
        """See `Level`."""
        return sorted(name for name in _listed(self._path) if not name.startswith("."))

    def write(self, key: str, name: str, parts: Iterable[Buffer]) -> None:
        """See `Level`."""
        directory = self._path / key
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give_up_before(directory, name)
        beside = directory / f".{name}.{os.getpid()}-{threading.get_ident():x}-{next(_numbers)}{_UNFINISHED}"
        try:
            _write(beside, parts)
            beside.replace(directory / name)
        except BaseException:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _sync_directory(directory)

    def size(self, key: str, name: str) -> int:
        """See `Level`."""
        return (self._path / key / name).stat().st_size

    def read_into(self, key: str, name: str, offset: int, buffer: memoryview) -> None:
        """See `Level`."""
        with open(self._path / key / name, "rb", buffering=0) as file:
            while buffer.nbytes:
                got = os.preadv(file.fileno(), [buffer], offset)
                if not got:
                    message = f"{self._path / key / name} ends at byte {offset}, before its time."
                    raise OSError(message)
                buffer, offset = buffer[got:], offset + got

    def remove(self, key: str, names: Iterable[str]) -> None:
        """See `Level`."""
        for name in names:
            with suppress(OSError):
                (self._path / key / name).unlink(missing_ok=True)

    def touched(self, key: str) -> float:
        """See `Level`."""
        try:
            return (self._path / key).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def remove_all(self, key: str) -> None:
        """See `Level`; with what was left unfinished."""
        directory = self._path / key
        with suppress(OSError):
            self.remove(key, _listed(directory))
        with suppress(OSError):
            directory.rmdir()


def _listed(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _give_up_before(directory: Path, name: str) -> None:
    for each in _listed(directory):
        if each.startswith(".") and each.endswith(_UNFINISHED) and each[1 : 1 + len(name)] < name:
            with suppress(OSError):
                (directory / each).unlink(missing_ok=True)


def _write(path: Path, parts: Iterable[Buffer]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with Flushing(descriptor) as flushing:
            for part in parts:
                data = memoryview(part).cast("B")
                _write_all(descriptor, data)
                flushing.wrote(data.nbytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data.nbytes:
        data = data[os.write(descriptor, data) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems do not sync directories
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
