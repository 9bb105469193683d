"""The names of the binding."""

from __future__ import annotations

from diaspora_stream.common import Event, Exception
from diaspora_stream.files import FilesDriver
from diaspora_stream.mofka import MofkaDriver

__all__ = ["Driver", "Event", "Exception"]


def Driver(*, backend, options=None):  # noqa: N802 - a class in the binding
    """A connection to a backend."""
    kind = backend.partition(":")[0]
    if kind not in ("files", "mofka"):
        raise Exception(f"Could not load backend {backend!r}")
    return (FilesDriver if kind == "files" else MofkaDriver)(options or {})
