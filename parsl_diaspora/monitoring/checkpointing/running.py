"""Running tries of apps with checkpoints: where they are, and how much would be lost with each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from parsl_diaspora.events import (
    CheckpointRestored,
    CheckpointSaved,
    Event,
    TryEnded,
    TryFailed,
    TryStarted,
)

#: Task and number of the try.
Key = tuple[int, int]


class RunningTry(msgspec.Struct):
    """One try that runs and can save itself.

    Attributes:
        task: Parsl's task id.
        try_id: number of the try.
        executor: label.
        block: block id.
        manager: manager id.
        node: host name.
        safe_since: when its newest state was saved, or when it began, by this host's monotonic clock.
        saves: that it has made; 0 if it has only begun.
        restored: it goes on from an earlier state.
        size: bytes of its state.
        seconds: until its last save was safe.
    """

    task: int
    try_id: int
    executor: str
    block: str
    manager: str
    node: str
    safe_since: float
    saves: int = 0
    restored: bool = False
    size: int = 0
    seconds: float = 0.0

    @classmethod
    def at(cls, event: Event, safe_since: float = 0.0) -> RunningTry:
        """The try that an event is about, where it says."""
        return cls(
            task=event.task if event.task is not None else -1,
            try_id=event.try_id or 0,
            executor=event.executor or "",
            block=event.block or "",
            manager=event.manager or "",
            node=event.node or "",
            safe_since=safe_since,
        )

    @property
    def key(self) -> Key:
        """What tells it from others."""
        return self.task, self.try_id

    @property
    def can_be_interrupted(self) -> bool:
        """Whether it has shown that it saves its state, or goes on from one."""
        return bool(self.saves or self.restored)


class RunningTries:
    """Folds events of tries and their checkpoints.

    Args:
        has_checkpoints: whether the app of a task has any.
        now: seconds that never go back.
    """

    def __init__(
        self, has_checkpoints: Callable[[int], bool], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._has_checkpoints = has_checkpoints
        self._now = now
        self._tries: dict[Key, RunningTry] = {}

    def __iter__(self) -> Iterator[RunningTry]:
        return iter(list(self._tries.values()))

    def of(self, task: int, try_id: int) -> RunningTry | None:
        """A try; None if it does not run, or its app has no checkpoints."""
        return self._tries.get((task, try_id))

    def hear(self, event: Event) -> None:
        """Take note of an event of the run."""
        key = event.task if event.task is not None else -1, event.try_id or 0
        if isinstance(event, TryStarted):
            if self._has_checkpoints(key[0]):
                self._tries[key] = RunningTry.at(event, self._now())
        elif isinstance(event, (TryEnded, TryFailed)):
            self._tries.pop(key, None)
        elif (known := self._tries.get(key)) is None:
            return
        elif isinstance(event, CheckpointSaved):
            known.safe_since, known.saves = self._now() - event.seconds, event.number
            known.size, known.seconds = event.size, event.seconds
        elif isinstance(event, CheckpointRestored):
            known.restored, known.size = True, event.size
