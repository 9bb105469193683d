"""LMDB as a candidate."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import lmdb
from _handoff import HandOff

from parsl_diaspora.events import Event, decode_many, join

POLL = 0.001  # seconds
MAP_BYTES = 8 * 1024**3
_KEY = struct.Struct(">Q")


class LmdbLog:
    """A map from the event's number to the event."""

    def __init__(self, place: str) -> None:
        self.place = place

    def writer(self, *, sync: bool = False) -> _Writer:
        """An environment; with ``sync`` each commit waits for the disk."""
        return _Writer(_open(self.place, sync=sync))

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> HandOff:
        """Hand-over to a thread."""
        del buffer, plain
        return HandOff(self.writer())

    def reader(self) -> _Reader:
        """Reads by number."""
        return _Reader(_open(self.place))

    def close(self) -> None:
        """Nothing is held."""


def _open(place: str, *, sync: bool = False) -> lmdb.Environment:
    Path(place).mkdir(parents=True, exist_ok=True)
    return lmdb.open(place, map_size=MAP_BYTES, sync=sync, max_dbs=2)


class _Writer:
    def __init__(self, environment: lmdb.Environment) -> None:
        self._environment = environment
        self._events = environment.open_db(b"events")

    def append(self, encoded: Sequence[bytes]) -> None:
        with self._environment.begin(write=True, db=self._events) as transaction:
            _put(transaction, encoded)

    def begin(self) -> bool:
        self._open_transaction = self._environment.begin(write=True, db=self._events)
        _put(self._open_transaction, [b""])
        return True

    def close(self) -> None:
        self._environment.close()


def _put(transaction: lmdb.Transaction, encoded: Sequence[bytes]) -> None:
    """Append behind the last number, which another process may have given."""
    with transaction.cursor() as cursor:
        first = _KEY.unpack(cursor.key())[0] + 1 if cursor.last() else 1
        keys = map(_KEY.pack, range(first, first + len(encoded)))
        cursor.putmulti(zip(keys, encoded, strict=False), append=True)


class _Reader:
    """Waiting is polling, a millisecond apart."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self._environment = environment
        self._events = environment.open_db(b"events")
        self._readers = environment.open_db(b"readers")
        self._position = 0

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        deadline = time.monotonic() + timeout
        while not (found := self._read(limit)) and time.monotonic() < deadline:
            time.sleep(POLL)
        self._position += len(found)
        return decode_many(join(found))

    def _read(self, limit: int) -> list[bytes]:
        with self._environment.begin(db=self._events) as transaction, transaction.cursor() as cursor:
            if not cursor.set_key(_KEY.pack(self._position + 1)):
                return []
            values: Iterator[bytes] = cursor.iternext(keys=False, values=True)
            return list(islice(values, limit))

    def commit(self) -> None:
        with self._environment.begin(write=True, db=self._readers) as transaction:
            transaction.put(b"benchmark", _KEY.pack(self._position))

    def close(self) -> None:
        self._environment.close()
