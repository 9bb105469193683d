"""What the fake scheduler knows, in a file that its commands share; standard library only."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MARK = "_TESTS_SLURM"  # as of the real one: its guard ends what carries it
JOB = "_TESTS_FAKE_JOB"
KEPT = 300.0  # seconds for which squeue knows a job that has ended
OVER = frozenset({"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"})


class Store:
    """The state of a scheduler in a directory.

    Args:
        directory: of the scheduler.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._state = directory / "state.json"
        self._lock = directory / "lock"
        self._calls = directory / "calls"

    def create(self, nodes: list[str], minute: float) -> None:
        """Begin without jobs."""
        state = {"nodes": dict.fromkeys(nodes, "up"), "jobs": {}, "next": 1, "minute": minute, "faults": {}}
        self._state.write_text(json.dumps(state), "utf-8")

    @contextmanager
    def open(self):
        """The state, to be changed within the block by nobody else."""
        with self._lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            new = self._state.with_suffix(".new")
            new.write_text(json.dumps(state), "utf-8")
            new.replace(self._state)

    def read(self) -> dict[str, Any]:
        """The state at this moment."""
        return json.loads(self._state.read_text("utf-8"))

    def note_call(self, command: str, arguments: list[str]) -> None:
        """Count a call, whatever comes of it."""
        line = json.dumps([time.monotonic(), command, arguments]) + "\n"
        with os.fdopen(os.open(self._calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
            file.write(line)

    def calls(self) -> list[tuple[float, str, list[str]]]:
        """Each call: monotonic time, command, arguments."""
        if not self._calls.exists():
            return []
        return [tuple(json.loads(line)) for line in self._calls.read_text("utf-8").splitlines()]


def free_nodes(state: dict[str, Any]) -> list[str]:
    """Nodes that may be given to a job."""
    taken = {node for job in state["jobs"].values() if job["state"] == "RUNNING" for node in job["nodes"]}
    return [name for name, now in state["nodes"].items() if now == "up" and name not in taken]


def known(job: dict[str, Any]) -> bool:
    """Whether the scheduler has not forgotten a job yet."""
    return job["state"] not in OVER or (not job["forgotten"] and time.time() - job["ended"] < KEPT)
