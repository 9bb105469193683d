"""What a place that keeps saves must be able to do: a directory, an object store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from parsl_diaspora.checkpoint.digest import Buffer


class Level(Protocol):
    """Keeps objects that never change, by the key of their task and their name.

    All of it may be called from several threads, and by several processes at once.

    Attributes:
        url: for people, without secrets.
    """

    url: str

    def names(self, key: str) -> list[str]:
        """Of all objects of a task, in order; empty if there are none.

        Raises:
            OSError: the place cannot be asked.
        """
        ...

    def all_keys(self) -> list[str]:
        """Of all tasks that have objects.

        Raises:
            OSError: the place cannot be asked.
        """
        ...

    def write(self, key: str, name: str, parts: Iterable[Buffer]) -> None:
        """Keep an object, whole or not at all; when this returns, it survives the loss of this process.

        Args:
            key: of the task.
            name: of the object; one that is there is replaced.
            parts: its bytes, in order. They are asked for one after the other.

        Raises:
            OSError: it cannot be kept; what `parts` raises comes through.
        """
        ...

    def size(self, key: str, name: str) -> int:
        """Bytes of an object.

        Raises:
            OSError: there is none, or it cannot be asked for.
        """
        ...

    def read_into(self, key: str, name: str, offset: int, buffer: memoryview) -> None:
        """Fill a buffer from an object.

        Raises:
            OSError: there is none, it has fewer bytes, or it cannot be read.
        """
        ...

    def remove(self, key: str, names: Iterable[str]) -> None:
        """Remove objects, those that are there. What cannot be removed stays, without a word."""
        ...

    def touched(self, key: str) -> float:
        """When anything of a task was written last, seconds UTC; 0 if there is nothing of it.

        Raises:
            OSError: the place cannot be asked.
        """
        ...

    def remove_all(self, key: str) -> None:
        """Remove all objects of a task, as `remove` does."""
        ...


def open_level(url: str) -> Level:
    """The level that a directory, or a URL, names.

    Args:
        url: a path, ``file:PATH``, or a URL that ``fsspec`` knows, as ``s3://bucket/prefix``.

    Raises:
        CheckpointError: nothing can keep saves there.
    """
    scheme, separator, rest = url.partition(":")
    if not separator or "/" in scheme:
        scheme, rest = "file", url
    if scheme == "file":
        from parsl_diaspora.checkpoint.store.directory import DirectoryLevel

        return DirectoryLevel(rest)
    from parsl_diaspora.checkpoint.store.remote import RemoteLevel

    return RemoteLevel(url)
