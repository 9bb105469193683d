"""Orders from the submit side, taken from their directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from parsl_diaspora.executors.supervision.orders import SUFFIX, read_order

NEAR, FAR = 0.2, 1.0  # seconds between two looks, on an own and on a network file system
_LOOKS_AFTER_CHANGE = 3  # two orders may come within one tick of the file system's clock

_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "afs", "9p", "panfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.juicefs", "pvfs2", "wekafs", "dvs", "virtiofs"),
    }
)


class Inbox:
    """Looks for orders and takes each of them once.

    Args:
        directory: where they appear.

    Attributes:
        unreadable: files that were no order.
        period: seconds between two looks.
    """

    def __init__(self, directory: Path) -> None:
        self.unreadable = 0
        self.period = FAR if file_system(directory) in _NETWORK else NEAR
        self._directory = directory
        self._seen: set[str] = set()
        self._next = 0.0
        self._changed: int | None = None
        self._looks = 0

    def take(self, now: float, place: Mapping[str, str]) -> list[dict[str, Any]]:
        """Messages that are meant for this place and were not taken before.

        Args:
            now: monotonic seconds.
            place: of the supervisor.
        """
        if now < self._next:
            return []
        self._next = now + self.period
        try:
            changed = os.stat(self._directory).st_mtime_ns
        except OSError:
            return []  # it is made with the first order, or its file system is away
        if changed == self._changed and self._looks <= 0:
            return []
        self._looks = _LOOKS_AFTER_CHANGE if changed != self._changed else self._looks - 1
        self._changed = changed
        return self._read_new(place)

    def _read_new(self, place: Mapping[str, str]) -> list[dict[str, Any]]:
        try:
            there = {name for name in os.listdir(self._directory) if name.endswith(SUFFIX)}
        except OSError:
            return []
        new = sorted(there - self._seen)
        self._seen = there
        return [message for name in new if (message := self._read(name, place)) is not None]

    def _read(self, name: str, place: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            order = read_order((self._directory / name).read_bytes())
        except FileNotFoundError:
            return None  # withdrawn
        except (OSError, msgspec.DecodeError):
            self.unreadable += 1
            return None
        return order.message if order.is_for(place) else None


def file_system(path: Path) -> str:
    """The kind of file system that a path lies on, as ``nfs4``; empty if nobody knows."""
    best, kind = "", ""
    with suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as file:
        where = os.path.realpath(path)
        for line in file:
            _, mount, name, *_ = line.split(" ")
            inside = where == mount or where.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, name
    return kind
