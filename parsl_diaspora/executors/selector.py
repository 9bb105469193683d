"""The manager selector that leaves out what is in quarantine.

It runs in the interchange's process and learns the names from a small file that the submit side replaces
as a whole, so it needs no channel of its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from parsl.executors.high_throughput.manager_selector import ManagerSelector


class QuarantineSelector(ManagerSelector):
    """Passes on to the program's own selector only the managers that may get tasks.

    Args:
        path: JSON file with a list of manager ids; one that is missing or unreadable denies nobody.
        inner: the program's selector.
    """

    def __init__(self, path: str, inner: ManagerSelector) -> None:
        self.path = path
        self.inner = inner
        self._seen: tuple[int, int, int] | None = None
        self._denied: frozenset[str] = frozenset()

    def sort_managers(self, ready_managers: dict[bytes, Any], manager_list: set[bytes]) -> list[bytes]:
        """The managers to offer tasks to; the last one is served first."""
        self._refresh()
        if self._denied:
            manager_list = {each for each in manager_list if each.decode() not in self._denied}
        return list(self.inner.sort_managers(ready_managers, manager_list))

    def _refresh(self) -> None:
        try:
            found = os.stat(self.path)
            seen = found.st_mtime_ns, found.st_ino, found.st_size
            if seen != self._seen:
                with open(self.path, encoding="utf-8") as file:
                    self._denied = frozenset(json.load(file))
                self._seen = seen
        except (OSError, ValueError, TypeError):
            self._seen, self._denied = None, frozenset()  # no quarantine is better than no tasks


def write_denied(path: Path, managers: set[str]) -> None:
    """Replace the selector's file.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(sorted(managers)), encoding="utf-8")
    temporary.replace(path)
