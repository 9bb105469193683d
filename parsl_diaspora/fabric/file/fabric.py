"""The embedded log as a fabric."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric.file.consumer import FileConsumer
from parsl_diaspora.fabric.file.immediate import ImmediatePublisher
from parsl_diaspora.fabric.file.options import read_options
from parsl_diaspora.fabric.file.positions import positions_of
from parsl_diaspora.fabric.file.publisher import FilePublisher
from parsl_diaspora.fabric.file.segment import SegmentWriter, open_writer
from parsl_diaspora.fabric.protocols import Publisher, Start, start_position, start_time

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class FileFabric:
    """A directory of segments. It is made when the first publisher is opened, not when it is only read.

    Args:
        url: ``file:PATH``; a relative path is taken from the current directory, once. Behind a question mark
            come options, see `parsl_diaspora.fabric.file.options`. A question mark in the path is ``%3F``.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.events import RunEnded
        >>> fabric = FileFabric("file:" + tempfile.mkdtemp())
        >>> publisher = fabric.publisher("me")
        >>> publisher.publish(RunEnded(done=3))
        >>> publisher.close().safe
        1
        >>> [event.done for event in fabric.consumer("you").poll()]
        [3]
    """

    def __init__(self, url: str) -> None:
        path, _, self._query = url.partition(":")[2].partition("?")
        if not path:
            raise FabricError("A file fabric needs a directory.", url=url, hint="Try 'file:./events'.")
        self.options = read_options(self._query, url)
        self.directory = _absolute(path.replace("%3F", "?"))
        if os.path.exists(self.directory) and not os.path.isdir(self.directory):
            message = f"{self.directory} is a file, not a directory for events."
            raise FabricUnavailable(message, url=self.url, hint=_ANOTHER)

    @property
    def url(self) -> str:
        """``file:``, the absolute path, and the options."""
        path = str(self.directory).replace("?", "%3F")
        return f"file:{path}?{self._query}" if self._query else f"file:{path}"

    @property
    def node_url(self) -> str | None:
        """The same URL: nodes see the directory where the file system is shared."""
        return self.url

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher with a segment of its own.

        Raises:
            FabricUnavailable: the directory cannot be made or written.
        """
        self._make_directory()
        if immediate:
            return ImmediatePublisher(self.directory, source, self.options)
        return FilePublisher(self.directory, source, buffer, self.options)

    def segment_writer(self, boot: str, name: Callable[[int], str]) -> SegmentWriter:
        """A writer of segments of its own, for what arrives as ready frames.

        Args:
            boot: of whoever writes.
            name: gives the stem of the file with a given number. Readers take files whose stems are the same
                up to the last dot one after the other.

        Raises:
            FabricUnavailable: the directory cannot be made or written.
        """
        self._make_directory()
        return open_writer(self.directory, boot, self.options, name)

    def consumer(self, name: str, *, start: Start = "earliest") -> FileConsumer:
        """The named consumer; its positions lie in ``consumers/NAME.json``.

        Raises:
            FabricError: the name has characters that a file name should not have, or ``start`` is no start.
            FabricUnavailable: the directory cannot be read.
        """
        if not _NAME.fullmatch(name):
            hint = "Use up to 64 letters, digits, '.', '_' and '-'."
            raise FabricError(f"{name!r} is no name for a consumer.", url=self.url, hint=hint)
        positions = positions_of(self.directory, name)
        begin = start_position(start) if isinstance(start, Mapping) else start_time(start)
        return FileConsumer(self.directory, positions, begin)

    def close(self) -> None:
        """Nothing is held open."""

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            why = getattr(error, "strerror", None) or error
            message = f"The events directory {self.directory} cannot be made: {why}."
            raise FabricUnavailable(message, url=self.url, hint=_ANOTHER) from error
        if not os.access(self.directory, os.W_OK | os.X_OK):
            message = f"The events directory {self.directory} cannot be written."
            raise FabricUnavailable(message, url=self.url, hint=_ANOTHER)


_ANOTHER = "Give another one, as in resilient(config, fabric='file:/path')."


def _absolute(path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        hint = "Give the path without '~'."
        raise FabricError(
            f"The home directory in {path!r} is not known.", url=f"file:{path}", hint=hint
        ) from error
