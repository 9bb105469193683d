"""A partition on disk: a log of bytes, and an index whose entries make records count."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ENTRY = struct.Struct("<QII")  # where, bytes of metadata, bytes of data


class Partition:
    """Append-only, safe for several processes. What a killed writer left half done does not count."""

    def __init__(self, stem: Path) -> None:
        self._index = stem.with_suffix(".index")
        self._log = stem.with_suffix(".log")

    def append(self, records: Sequence[tuple[bytes, bytes]]) -> int:
        """Store records together or not at all; the number of the first."""
        with self._locked() as index:
            count = os.fstat(index).st_size // _ENTRY.size
            end = 0
            if count:
                where, *sizes = _ENTRY.unpack(os.pread(index, _ENTRY.size, (count - 1) * _ENTRY.size))
                end = where + sum(sizes)
            body, entries = bytearray(), bytearray()
            for metadata, data in records:
                entries += _ENTRY.pack(end + len(body), len(metadata), len(data))
                body += metadata + data
            self._write(body, end)
            if os.pwrite(index, entries, count * _ENTRY.size) < len(entries):
                os.ftruncate(index, count * _ENTRY.size)
                raise OSError("the index could not be written whole")
        return count

    def read(self, first: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        """Records from a number on."""
        try:
            with self._index.open("rb") as index, self._log.open("rb") as log:
                index.seek(first * _ENTRY.size)
                raw = index.read(limit * _ENTRY.size)
                whole = len(raw) - len(raw) % _ENTRY.size
                return [self._one(log, first + n, *e) for n, e in enumerate(_ENTRY.iter_unpack(raw[:whole]))]
        except FileNotFoundError:
            return []

    def _one(self, log, number, where, metadata, data):
        log.seek(where)
        body = log.read(metadata + data)
        return number, body[:metadata], body[metadata:]

    def _write(self, body: bytearray, where: int) -> None:
        log = os.open(self._log, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if os.pwrite(log, body, where) < len(body):
                raise OSError("the log could not be written whole")
        finally:
            os.close(log)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        index = os.open(self._index, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(index, fcntl.LOCK_EX)
            yield index
        finally:
            os.close(index)


class InMemory:
    """The same for partitions of the type `memory`."""

    def __init__(self) -> None:
        self._records: list[tuple[bytes, bytes]] = []

    def append(self, records: Sequence[tuple[bytes, bytes]]) -> int:
        first = len(self._records)
        self._records.extend(records)
        return first

    def read(self, first: int, limit: int) -> list[tuple[int, bytes, bytes]]:
        return [(n, *r) for n, r in enumerate(self._records[first : first + limit], first)]
