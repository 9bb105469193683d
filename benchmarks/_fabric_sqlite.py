"""SQLite with a write-ahead log as a candidate."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from _handoff import HandOff

from parsl_diaspora.events import Event, decode_many, join

POLL = 0.001  # seconds
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS readers (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
    INSERT OR IGNORE INTO readers VALUES ('benchmark', 0);
"""


class SqliteLog:
    """A table of events, a row each."""

    def __init__(self, place: str) -> None:
        self.place = place

    def writer(self, *, sync: bool = False) -> _Writer:
        """A connection; with ``sync`` each commit waits for the disk."""
        return _Writer(_connect(self.place, "FULL" if sync else "NORMAL"))

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> HandOff:
        """Hand-over to a thread."""
        del buffer, plain
        return HandOff(self.writer())

    def reader(self) -> _Reader:
        """Reads by position."""
        return _Reader(_connect(self.place, "NORMAL"))

    def close(self) -> None:
        """Nothing is held."""


def _connect(place: str, synchronous: str) -> sqlite3.Connection:
    Path(place).mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        f"{place}/events.sqlite", isolation_level=None, check_same_thread=False, timeout=60
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.executescript(_SCHEMA)
    return connection


class _Writer:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, encoded: Sequence[bytes]) -> None:
        if len(encoded) == 1:
            self._connection.execute("INSERT INTO events (data) VALUES (?)", encoded)
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT INTO events (data) VALUES (?)", ((each,) for each in encoded))
        self._connection.execute("COMMIT")

    def begin(self) -> bool:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.execute("INSERT INTO events (data) VALUES (?)", (b"",))
        return True

    def close(self) -> None:
        self._connection.close()


class _Reader:
    """Waiting is polling, a millisecond apart."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._position = 0

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        deadline = time.monotonic() + timeout
        while not (rows := self._rows(limit)) and time.monotonic() < deadline:
            time.sleep(POLL)
        if rows:
            self._position = rows[-1][0]
        return decode_many(join([data for _, data in rows]))

    def _rows(self, limit: int) -> list[tuple[int, bytes]]:
        query = "SELECT position, data FROM events WHERE position > ? ORDER BY position LIMIT ?"
        return self._connection.execute(query, (self._position, limit)).fetchall()

    def commit(self) -> None:
        self._connection.execute(
            "UPDATE readers SET position = ? WHERE name = 'benchmark'", (self._position,)
        )

    def close(self) -> None:
        self._connection.close()
