"""Tasks that wait in the interchange can be taken back: stock hands out whatever it was given.

The interchange's main thread adds to its queue and takes from it; our agent's thread takes tasks back. One
lock settles for each task which of the two was first.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from typing import Any


class Pending:
    """What is unwanted of an interchange's queue, now or when it comes.

    Example:
        >>> pending = Pending()
        >>> queue = pending.guard([(0, -2, {"task_id": 2}), (0, -1, {"task_id": 1})])
        >>> pending.withdraw({1}), [entry[-1]["task_id"] for entry in queue.entries]
        ({1}, [2])
        >>> queue.pop()[-1]["task_id"], pending.withdraw({2})
        (2, set())
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.unwanted: set[int] = set()
        self._queue: GuardedQueue | None = None
        self._withdrawn: set[int] = set()

    def guard(self, queue: Any) -> GuardedQueue:
        """A queue in place of the interchange's own; called in its main thread, before it is used."""
        with self.lock:
            self._queue = GuardedQueue(queue, self)
            self._withdrawn |= self._queue.drop()
        return self._queue

    def withdraw(self, numbers: Collection[int]) -> set[int]:
        """Let no manager get these tasks; those of them of which it is certain that none ever will.

        Before the queue is guarded nothing has ever been taken from it, so then that is all of them.
        """
        with self.lock:
            new = set(numbers) - self.unwanted
            self.unwanted |= new
            if self._queue is None:
                self._withdrawn |= new
            elif new:
                self._withdrawn |= self._queue.drop()
            return self._withdrawn & set(numbers)

    def dropped(self, number: int) -> None:
        """A task that came late was not let in; called with the lock held."""
        self._withdrawn.add(number)


class GuardedQueue:
    """The interchange's queue of tasks, of which some may be taken back.

    Args:
        entries: the interchange's own queue; the task is the last part of each entry.
        pending: what is unwanted.
    """

    def __init__(self, entries: Any, pending: Pending) -> None:
        self.entries = entries
        self._pending = pending

    def __getattr__(self, name: str) -> Any:
        return getattr(self.entries, name)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Any:
        return iter(self.entries)

    def add(self, entry: Any) -> None:
        """A task has come from the submit side."""
        with self._pending.lock:
            number = _number(entry)
            if number in self._pending.unwanted:
                self._pending.dropped(number)
            else:
                self.entries.add(entry)

    def pop(self, *args: Any) -> Any:
        """The next task for a manager."""
        with self._pending.lock:
            return self.entries.pop(*args)

    def drop(self) -> set[int]:
        """Drop what is unwanted; called with the lock held."""
        found = [entry for entry in self.entries if _number(entry) in self._pending.unwanted]
        for entry in found:
            self.entries.remove(entry)
        return {_number(entry) for entry in found}


def held_by(numbers: Collection[int], records: Iterable[dict[str, Any]]) -> set[int]:
    """Those of these tasks that a manager has."""
    return {number for record in records for number in record.get("tasks", ()) if number in numbers}


def _number(entry: Any) -> int:
    """Of the task; another one than any task has, if a later release of Parsl has other entries."""
    try:
        return int(entry[-1]["task_id"])
    except (KeyError, IndexError, TypeError, ValueError):
        return -1
