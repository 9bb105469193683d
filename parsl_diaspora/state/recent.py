"""The newest failures by executor and by app, so that crowds of them are seen at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from parsl_diaspora.state.records import RECENT

#: When, of which task, and of which class.
FailedAt = tuple[float, int, str]

MOST_NAMES = 1_000


class Recent(msgspec.Struct):
    """Failures of the names that failed last; those of others are forgotten.

    Attributes:
        executors: by label.
        functions: by name of the app.

    Example:
        >>> recent = Recent()
        >>> recent.fail((10.0, 1, "memory"), "cpu", "train")
        >>> count_tasks(recent.of("cpu"), since=9.0, but=2)
        1
    """

    executors: dict[str, deque[FailedAt]] = msgspec.field(default_factory=dict)
    functions: dict[str, deque[FailedAt]] = msgspec.field(default_factory=dict)

    def fail(self, record: FailedAt, executor: str, func: str) -> None:
        """Take note of a failed try."""
        for name, records in ((executor, self.executors), (func, self.functions)):
            if name not in records and len(records) >= MOST_NAMES:
                del records[next(iter(records))]
            records.setdefault(name, deque(maxlen=RECENT)).append(record)

    def of(self, executor: str) -> tuple[FailedAt, ...]:
        """The newest failures at an executor."""
        return tuple(self.executors.get(executor, ()))

    def of_func(self, func: str) -> tuple[FailedAt, ...]:
        """The newest failures of an app."""
        return tuple(self.functions.get(func, ()))


def count_tasks(failures: Iterable[FailedAt], since: float, but: int) -> int:
    """Different tasks that failed after a moment, one task left out."""
    return len({task for when, task, _ in tuple(failures) if when > since and task != but})
