"""Failures on the way between program and worker."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from typing import Any


def echo(directory: str, argument: Any = None) -> Any:
    """Give back the argument."""
    return argument


def return_generator(directory: str) -> Iterator[int]:
    """Return what cannot be pickled."""
    return (number for number in range(3))


def return_connection(directory: str) -> Any:
    """Return what belongs to its process."""
    return sqlite3.connect(":memory:")


def make_generator() -> Any:
    """An argument that cannot be pickled."""
    return (number for number in range(3))


class OfAnotherVersion:
    """An argument that is pickled well, and raises when it is rebuilt."""

    def __reduce__(self) -> Any:
        return getattr, (threading, "a_class_of_the_next_release")
