"""What is measured side by side: each candidate appends, publishes and reads events in its own way."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Protocol

from parsl_diaspora.events import Event

#: Module and class of each candidate, by the name of its column.
MODULES = {
    "file:": ("_fabric_ours", "FileLog"),
    "relay": ("_fabric_relay", "Relay"),
    "sqlite WAL": ("_fabric_sqlite", "SqliteLog"),
    "LMDB": ("_fabric_lmdb", "LmdbLog"),
    "Kafka": ("_fabric_kafka", "KafkaTopic"),
}
STORES = ("file:", "sqlite WAL", "LMDB")
LOGS = (*STORES, "Kafka")
ALL = tuple(MODULES)


class Writer(Protocol):
    """Appends encoded events in the thread that calls it."""

    def append(self, encoded: Sequence[bytes]) -> None:
        """Append events as one batch."""

    def begin(self) -> bool:
        """Stop inside of a transaction and keep it open; False where there is no such thing."""

    def close(self) -> None:
        """Return when all that was appended is where it belongs."""


class Publisher(Protocol):
    """Takes events from a program's thread and appends them in another one."""

    def publish(self, event: Event) -> None:
        """Stamp, encode and hand over."""

    def flush(self, timeout: float = 5.0) -> Any:
        """Wait until all that was published is safe."""

    def close(self, timeout: float = 2.0) -> Any:
        """Flush and stop."""


class Reader(Protocol):
    """Reads and decodes what is appended, and keeps its position."""

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet read, about so many at most."""

    def commit(self) -> None:
        """Keep the position, so that a killed reader goes on behind it."""

    def close(self) -> None:
        """Stop reading."""


class Candidate(Protocol):
    """One way to carry events, at a place of its own."""

    place: str

    def writer(self, *, sync: bool = False) -> Writer:
        """A writer; with ``sync`` each batch survives a power loss before ``append`` returns."""

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> Publisher:
        """A publisher that keeps that many events in memory at most; with ``plain`` none waits for a disk."""

    def reader(self) -> Reader:
        """A reader from the beginning."""

    def close(self) -> None:
        """End what it started and remove what lies outside of the benchmark's directory."""


def candidate(name: str, place: str) -> Candidate:
    """The candidate of that name.

    Args:
        name: of its column.
        place: a directory; for Kafka ``HOST:PORT/TOPIC``.

    Raises:
        ImportError: its package is not installed.
    """
    module, cls = MODULES[name]
    found: Candidate = getattr(importlib.import_module(module), cls)(place)
    return found


def why_missing(name: str) -> str:
    """The package that the candidate lacks, in words; empty if it can be measured."""
    try:
        importlib.import_module(MODULES[name][0])
    except ImportError as error:
        return f"not measured: {error}"
    return ""
