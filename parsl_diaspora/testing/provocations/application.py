"""Failures of the program's own code."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

#: Seconds that a task runs before it takes its worker along, as real ones do.
BEFORE_A_CRASH = 0.5


class Unsolvable(Exception):
    """An exception of a program's own."""


def raise_own_exception(directory: str) -> None:
    """Fail as programs do in their own words."""
    raise Unsolvable("the mesh has no boundary")


def divide_by_zero(directory: str) -> float:
    """Divide by the length of an empty list."""
    values: list[float] = []
    return sum(values) / len(values)


def look_up_what_is_not_there(directory: str) -> int:
    """Ask a dictionary for a key that it does not have."""
    return {"pressure": 1}["presure"]


def read_text_that_is_none(directory: str) -> str:
    """Read a file whose bytes are no UTF-8."""
    path = Path(directory, "text")
    path.write_bytes(b"temp\xe9rature")
    return path.read_text(encoding="utf-8")


def read_half_a_document(directory: str) -> object:
    """Read a JSON file whose writer was interrupted."""
    import json

    path = Path(directory, "half.json")
    path.write_text('{"steps": [1, 2, ')
    return json.loads(path.read_text())


def read_half_a_pickle(directory: str) -> object:
    """Read a pickle whose writer was interrupted."""
    import pickle

    path = Path(directory, "half.pickle")
    path.write_bytes(pickle.dumps(list(range(1000)))[:100])
    return pickle.loads(path.read_bytes())  # noqa: S301 - written one line above


def lose_a_race(directory: str) -> None:
    """Find that somebody else has changed what was just written."""
    path = Path(directory, "counter")
    path.write_text("1")
    path.write_text("2")  # the other one
    assert path.read_text() == "1", "the counter changed meanwhile"  # noqa: S101 - its failure is the purpose


def wait_for_a_locked_database(directory: str) -> None:
    """Write to an SQLite file that another connection has locked."""
    import sqlite3
    from contextlib import closing

    path = Path(directory, "results.db")
    with closing(sqlite3.connect(path)) as first, closing(sqlite3.connect(path, timeout=0.05)) as second:
        first.execute("create table results (value)")
        first.execute("begin exclusive")
        second.execute("insert into results values (1)")


def run_for_long(directory: str, walltime: float = 0) -> None:
    """Go on for a minute; Parsl ends it at the walltime that it is called with."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.02)


def leave(directory: str) -> None:
    """Call sys.exit, as scripts do that were made apps."""
    sys.exit(3)


def interrupt_itself(directory: str) -> None:
    """Be interrupted as by Ctrl-C in a terminal."""
    raise KeyboardInterrupt


def read_address_zero(directory: str) -> bytes:
    """Crash the process as a faulty C library does."""
    import ctypes

    time.sleep(BEFORE_A_CRASH)
    return ctypes.string_at(0)


def abort(directory: str) -> None:
    """Give up as C libraries do whose assertion fails."""
    time.sleep(BEFORE_A_CRASH)
    signal.raise_signal(signal.SIGABRT)
