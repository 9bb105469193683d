"""What a forked child has of its parent's: it begins a life of its own with it, or must let it be."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


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
    """Give a forked child's copy of a publisher a life of its own: it must never write as its parent."""
    after_fork(publisher, lambda alive: alive.begin_life(closed=alive.closed))


def after_fork(thing: T, renew: Callable[[T], object]) -> None:
    """Call ``renew`` with a forked child's copy of an object, as long as the object lives."""
    reference = weakref.ref(thing)

    def begin() -> None:
        if (alive := reference()) is not None:
            renew(alive)

    os.register_at_fork(after_in_child=begin)


def keep_for_ever(thing: object) -> None:
    """Never let the interpreter destroy an object, not even when it ends.

    A forked child has its parent's clients of librdkafka without their threads: their end would wait for
    ever.
    """
    import ctypes  # workers load this module, and need none of it

    if thing is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
