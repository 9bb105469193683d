"""An object store that keeps saves, or whatever else ``fsspec`` reaches.

Keys, secrets and end points are found where the library of the service looks for them, as in
``AWS_ACCESS_KEY_ID`` and ``~/.aws``, or in fsspec's own configuration, as ``FSSPEC_S3_ENDPOINT_URL``: nothing
of them need stand in a URL that goes into logs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from parsl_diaspora.checkpoint.digest import Buffer
from parsl_diaspora.errors import CheckpointError
from parsl_diaspora.masking import without_secrets

_AT_ONCE = 8 * 1024 * 1024  # bytes; an object up to here is sent as one, a larger one in parts
_PART = 16 * 1024 * 1024
_TIMES = ("LastModified", "last_modified", "mtime", "created", "updated")


class RemoteLevel:
    """Objects in a place that a URL names. A write is seen when all of it is there.

    Args:
        url: as ``s3://bucket/prefix``.

    Attributes:
        url: without secrets.

    Raises:
        CheckpointError: ``fsspec``, or the library for this kind of place, is not there.

    Example:
        >>> level = RemoteLevel("memory://saves")  # doctest: +SKIP
        >>> level.write("key", "0000000000000001.begun", ())  # doctest: +SKIP
    """

    def __init__(self, url: str) -> None:
        self.url = without_secrets(url)
        self._files, root = _file_system(url)
        self._root = root.rstrip("/")
        self._writing = threading.Lock()  # a transaction is one for all threads

    def names(self, key: str) -> list[str]:
        """See `Level`."""
        return self._listed(self._path(key))

    def all_keys(self) -> list[str]:
        """See `Level`."""
        return self._listed(self._root)

    def write(self, key: str, name: str, parts: Iterable[Buffer]) -> None:
        """See `Level`."""
        path, rest = self._path(key, name), iter(parts)
        first: list[bytes] = []
        size = 0
        for part in rest:
            first.append(bytes(part))
            size += len(first[-1])
            if size > _AT_ONCE:
                break
        with self._writing:
            with self._as_os_error("write"):
                self._make_directory(key)
            if size > _AT_ONCE:
                self._write_in_parts(path, first, rest)
                return
            with self._as_os_error("write"):
                self._files.pipe_file(path, b"".join(first))

    def _write_in_parts(self, path: str, first: list[bytes], rest: Iterator[Buffer]) -> None:
        transaction, file = self._files.transaction, None
        try:
            with self._as_os_error("write"):
                transaction.start()
                file = self._files.open(path, "wb", block_size=_PART)
            while first:
                self._send(file, first.pop(0))
            for part in rest:
                self._send(file, part)
            with self._as_os_error("write"):
                file.close()
        except BaseException:
            self._give_up(transaction, file)
            raise
        with self._as_os_error("write"):
            transaction.complete(commit=True)

    def _send(self, file: Any, part: Buffer) -> None:
        with self._as_os_error("write"):
            file.write(part)

    @staticmethod
    def _give_up(transaction: Any, file: Any) -> None:
        """Leave nothing of an object that did not come to its end."""
        from fsspec.spec import AbstractBufferedFile

        if isinstance(file, AbstractBufferedFile):
            file.closed = True  # or what it still holds would be sent when it is forgotten
        elif file is not None:
            with suppress(Exception):
                file.close()
        with suppress(Exception):
            transaction.complete(commit=False)

    def size(self, key: str, name: str) -> int:
        """See `Level`."""
        with self._as_os_error("read"):
            self._files.invalidate_cache()
            return int(self._files.size(self._path(key, name)))

    def read_into(self, key: str, name: str, offset: int, buffer: memoryview) -> None:
        """See `Level`."""
        path, end = self._path(key, name), offset + buffer.nbytes
        if offset == end:
            return
        with self._as_os_error("read"):
            data = self._files.cat_file(path, start=offset, end=end)
        if len(data) != buffer.nbytes:
            message = f"{self.url}/{key}/{name} ends at byte {offset + len(data)}, before its time."
            raise OSError(message)
        buffer[:] = data

    def remove(self, key: str, names: Iterable[str]) -> None:
        """See `Level`."""
        for name in names:
            with suppress(Exception):
                self._files.rm_file(self._path(key, name))

    def touched(self, key: str) -> float:
        """See `Level`."""
        entries = self._entries(self._path(key))
        return max((_written(entry) for entry in entries), default=0.0)

    def remove_all(self, key: str) -> None:
        """See `Level`."""
        with suppress(Exception):
            self._files.rm(self._path(key), recursive=True)

    # --- the file system ---

    def _path(self, *names: str) -> str:
        return "/".join((self._root, *names))

    def _make_directory(self, key: str) -> None:
        """Where there are directories; object stores have none, and would make a bucket."""
        if not getattr(self._files, "async_impl", False):
            self._files.makedirs(self._path(key), exist_ok=True)

    def _entries(self, path: str) -> list[dict[str, Any]]:
        with self._as_os_error("list"):
            self._files.invalidate_cache()
            try:
                return list(self._files.ls(path, detail=True))
            except FileNotFoundError:
                return []

    def _listed(self, path: str) -> list[str]:
        names = [str(entry["name"]).rstrip("/") for entry in self._entries(path)]
        return sorted(
            name.rpartition("/")[2]
            for name in names
            if not name.rpartition("/")[2].startswith(".") and not path.endswith(name)
        )

    @contextmanager
    def _as_os_error(self, what: str) -> Iterator[None]:
        """Each service has errors of its own."""
        try:
            yield
        except OSError:
            raise
        except Exception as error:
            message = f"{self.url} cannot be used to {what} saves: {type(error).__name__}: {error}"
            raise OSError(message) from error


def _file_system(url: str) -> tuple[Any, str]:
    scheme = url.partition(":")[0]
    try:
        import fsspec
    except ImportError as error:
        message = f"Saves cannot be kept at {without_secrets(url)!r} without the library fsspec."
        raise CheckpointError(message, hint="Install parsl-diaspora[checkpoint] there.") from error
    try:
        files, root = fsspec.core.url_to_fs(url, skip_instance_cache=True)
    except ImportError as error:
        message = f"Saves cannot be kept at {without_secrets(url)!r}: {error}"
        raise CheckpointError(message, hint=f"Install the library for {scheme!r} there.") from error
    except ValueError as error:
        message = f"Saves cannot be kept at {without_secrets(url)!r}: {without_secrets(str(error))}"
        raise CheckpointError(
            message, hint="Name a directory, or a URL as in 's3://bucket/prefix'."
        ) from error
    return files, str(root)


def _written(entry: dict[str, Any]) -> float:
    """When an object was written, seconds UTC; now if nobody tells, so that nothing seems old."""
    for name in _TIMES:
        value = entry.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return time.time()
