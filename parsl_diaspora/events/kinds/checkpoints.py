"""States of running tasks: saved, restored, lost."""

from __future__ import annotations

from parsl_diaspora.events.envelope import Event


class CheckpointSaved(Event, tag="checkpoint.saved"):
    """A running task's state is safe.

    Attributes:
        number: of the save within its try, from 1.
        size: bytes of the state.
        written: bytes that were new.
        stopped: seconds for which the task was stopped.
        seconds: from then until the save was safe.
        level: the nearest place that has it.
        levels: how many places have it.
        final: the task leaves its place with it.
    """

    number: int = 0
    size: int = 0
    written: int = 0
    stopped: float = 0.0
    seconds: float = 0.0
    level: str = ""
    levels: int = 1
    final: bool = False


class CheckpointRestored(Event, tag="checkpoint.restored"):
    """A task goes on from a saved state.

    Attributes:
        number: of the save within its try.
        saved_run: run that saved it.
        saved_try: number of the try that saved it.
        age: seconds since it was saved.
        size: bytes of the state.
        read: bytes read for it.
        seconds: that it took.
    """

    number: int = 0
    saved_run: str = ""
    saved_try: int = 0
    age: float = 0.0
    size: int = 0
    read: int = 0
    seconds: float = 0.0


class CheckpointLost(Event, tag="checkpoint.lost"):
    """A save came to nothing, or cannot be used any more. The one before it may still be good.

    Attributes:
        number: of the save within its try; 0 if it got none.
        reason: in words.
        error: what was raised.
    """

    number: int = 0
    reason: str = ""
    error: str = ""
