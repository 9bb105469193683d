"""The Diaspora stream API as a fabric."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric.diaspora_stream.backends import MOFKA
from parsl_diaspora.fabric.diaspora_stream.consumer import StreamConsumer
from parsl_diaspora.fabric.diaspora_stream.publisher import StreamPublisher
from parsl_diaspora.fabric.diaspora_stream.url import read_url
from parsl_diaspora.fabric.protocols import Start, start_time

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_INSTALL = (
    "It is not on the Python package index: install it with Spack (package 'mofka'), or from the sources "
    "of the Diaspora project, into the environment of this program and of its workers."
)


class StreamFabric:
    """One topic of Mofka, or of the stream API's own file driver.

    The binding is never loaded into this process: each target has one process of its own that holds it, which
    is started with the first event or consumer and ends with its last user or with this process.

    Args:
        url: ``mofka:/path/to/group.json?topic=NAME`` or ``files+diaspora:/dir?topic=NAME``; more options are
            ``partitions`` (for making the topic), ``type`` (of Mofka's partitions: default, memory, legacy),
            ``create`` (yes, no: make a topic that is missing), ``patience`` (seconds after which a server
            that confirms nothing counts as dead) and ``positions`` (directory for the consumers' positions).

    Raises:
        FabricError: the URL is not one that a stream can have.
        FabricUnavailable: the binding is not installed, or the group file cannot be read.

    Example:
        >>> StreamFabric("mofka:group.json?topik=tasks")
        Traceback (most recent call last):
        ...
        parsl_diaspora.errors.FabricError: A stream's URL has no option 'topik'. Did you mean 'topic'?
    """

    def __init__(self, url: str) -> None:
        self._address = read_url(url)
        self._target, self._topic = self._address.target, self._address.topic
        _need_binding(self.url)
        if self._target.scheme == MOFKA:
            _check_group_file(self._address.path, self.url)
        elif self._address.path.exists() and not self._address.path.is_dir():
            message = f"{self._address.path} is a file, not a directory for streams."
            raise FabricUnavailable(message, url=self.url, hint="Name a directory.")

    @property
    def url(self) -> str:
        """The URL with an absolute path."""
        return self._address.url

    @property
    def node_url(self) -> str | None:
        """The same URL: nodes need the group file, or the directory, under the same path, and the binding."""
        return self.url

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> StreamPublisher:
        """A publisher. Never fails because of the server: events wait.

        Args:
            source: who speaks.
            buffer: events kept in memory until the server has stored them.
            immediate: let `publish` return only when the process that holds the binding has the event, which
                it delivers even if this one is killed.

        Raises:
            FabricUnavailable: the file driver's directory cannot be made.
        """
        self._make_directory()
        return StreamPublisher(self._target, self._topic, source, buffer=buffer, immediate=immediate)

    def consumer(self, name: str, *, start: Start | Mapping[str, int] = "earliest") -> StreamConsumer:
        """The named consumer.

        No driver can begin in the middle: the stream is read from where the server last saw this name, and
        what is before the position is passed over.

        Args:
            name: of the consumer.
            start: where to begin if no position is kept; also a position, as `StreamConsumer.position` gives.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
            FabricUnavailable: the stream cannot be read now.
        """
        if not _NAME.fullmatch(name):
            hint = "Use up to 64 letters, digits, '.', '_' and '-'."
            raise FabricError(f"{name!r} is no name for a consumer.", url=self.url, hint=hint)
        begin = dict(start) if isinstance(start, Mapping) else start_time(start)
        self._make_directory()
        positions = self._address.positions / f"{name}.json"
        return StreamConsumer(self._target, self._topic, name, positions, url=self.url, start=begin)

    def close(self) -> None:
        """Nothing is held by the fabric itself; the process ends soon after its last user."""

    def _make_directory(self) -> None:
        if self._target.scheme == MOFKA:
            return
        try:
            self._address.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            message = f"The stream's directory {self._address.path} cannot be made: {why}."
            raise FabricUnavailable(message, url=self.url, hint="Name another directory.") from error


def _need_binding(url: str) -> None:
    """Look for the binding without loading it: a process that has used it can be forked no more."""
    if importlib.util.find_spec("diaspora_stream") is None:
        raise FabricUnavailable("The package diaspora_stream is not installed.", url=url, hint=_INSTALL)


def _check_group_file(path: Path, url: str) -> None:
    hint = "A running Mofka server writes it; give its path as in 'mofka:/path/to/group.json'."
    try:
        group = json.loads(path.read_bytes())
    except OSError as error:
        message = f"The group file {path} cannot be read: {error.strerror}."
        raise FabricUnavailable(message, url=url, hint=hint) from error
    except ValueError as error:
        raise FabricUnavailable(f"The group file {path} is no JSON: {error}.", url=url, hint=hint) from error
    if not isinstance(group, dict):
        raise FabricUnavailable(f"The group file {path} describes no group.", url=url, hint=hint)
