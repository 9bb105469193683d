"""A forked child must never write its parent's segment."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """A publisher that can begin anew."""

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        ...

    def begin_life(self, *, closed: bool = False) -> None:
        """Forget all locks, threads, files and counters of the parent."""
        ...


def renew_after_fork(publisher: Forkable) -> None:
    """Give a forked child's copy of a publisher a life of its own, as long as the publisher lives."""
    reference = weakref.ref(publisher)

    def renew() -> None:
        if (alive := reference()) is not None:
            alive.begin_life(closed=alive.closed)

    os.register_at_fork(after_in_child=renew)
