"""Whose a segment is: a spool hands on what its own process and the dead have written, nothing else.

There is no lock that a dead process could hold. A segment's name tells host, process id and boot of its
writer: on this host a look at the process table says whether the writer lives. For other hosts, whose
directory this may be as well on a shared file system, a segment that has long not grown may be handed on (a
duplicate at worst), but is deleted only if its writer has begun a later one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from parsl_diaspora.fabric.file.segment import writer_of
from parsl_diaspora.fabric.file.writers import is_dead, writer_named

#: ``foreign``: hands off; ``open``: to be handed on, may still grow; ``sealed``: never grows again.
Standing = Literal["foreign", "open", "sealed"]

STALE_AFTER = 60.0  # seconds that a segment of another host must not have grown
_LOOK_AGAIN = 1.0  # seconds for which a look at the process table holds

_live: set[str] = (
    set()
)  # boots of this process whose publishers are not closed, whatever spool they belong to


class Owners:
    """Tells the standing of each segment of one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._host = os.uname().nodename
        self._mine: set[str] = set()
        self._looked: dict[int, tuple[float, bool]] = {}
        self._lock = threading.Lock()

    def add(self, boot: str) -> None:
        """A publisher of this spool begins to write."""
        with self._lock:
            self._mine.add(boot)
            _live.add(boot)

    def remove(self, boot: str) -> None:
        """That publisher will never write again."""
        with self._lock:
            self._mine.discard(boot)
            _live.discard(boot)

    def standings(self, names: Iterable[str]) -> Mapping[str, Standing]:
        """The standing of each of the directory's segments; ``names`` are all of them, in order."""
        names = list(names)
        last = {writer_of(name): name for name in names}
        with self._lock:
            return {name: self._standing(name, name != last[writer_of(name)]) for name in names}

    def _standing(self, name: str, followed: bool) -> Standing:
        writer = writer_named(name)
        if writer is None:
            return "foreign"
        if writer.host != self._host:
            return self._abroad(name, followed)
        if writer.pid == os.getpid():
            return self._at_home(writer.boot, followed)
        return "sealed" if self._is_dead(writer.pid, name) else "foreign"

    def _at_home(self, boot: str, followed: bool) -> Standing:
        if boot in self._mine:
            return "sealed" if followed else "open"
        return "foreign" if boot in _live else "sealed"

    def _abroad(self, name: str, followed: bool) -> Standing:
        if time.time() - _touched(self._directory / name) < STALE_AFTER:
            return "foreign"
        return "sealed" if followed else "open"

    def _is_dead(self, pid: int, name: str) -> bool:
        now = time.monotonic()
        looked, dead = self._looked.get(pid, (float("-inf"), False))
        if now - looked >= _LOOK_AGAIN:
            dead = is_dead(pid, _touched(self._directory / name))
            self._looked[pid] = now, dead
        return dead


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
