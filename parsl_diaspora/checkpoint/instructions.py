"""What a worker is told of how the task that it runs is saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from parsl_diaspora.checkpoint.store import Store


class Instructions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Travel with a try.

    Attributes:
        key: of the task's state.
        levels: where saves are kept, the nearest first; see `open_level`.
        launch: when the try was launched, nanoseconds UTC; see `Save`.
        interval: seconds between two saves; None for the best.
        between_failures: mean seconds between two failures of a worker where the task goes.
        keep: saves that stay.
        quota: bytes that they may take; 0 for no limit.
        copy: copy the state first and write behind the task.
        compress: where it pays.
        files: of a bash app, that are its state.
        exit_code: of a bash app, for "run me again"; None for none.
        signal: of a bash app, that asks to save; empty for none.
        follows: the try is the successor of one that still runs: it waits until that one has left.
    """

    key: str
    levels: tuple[str, ...]
    launch: int
    interval: float | None = None
    between_failures: float = 86_400.0
    keep: int = 2
    quota: int = 0
    copy: bool = True
    compress: bool = True
    files: tuple[str, ...] = ()
    exit_code: int | None = None
    signal: str = ""
    follows: bool = False

    def store(self) -> Store:
        """Where the task's saves are.

        Raises:
            CheckpointError: a level cannot be had here.
        """
        from parsl_diaspora.checkpoint.store import Store, open_level

        return Store([open_level(url) for url in self.levels], self.key)
