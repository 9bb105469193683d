"""A scheduler with Slurm's commands that can be told to fail, lie, dawdle, and lose its patience."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.services.scheduler import faults
from tests.services.scheduler.commands import COMMANDS, set_node
from tests.services.scheduler.store import MARK, OVER, Store
from tests.services.slurm import processes
from tests.services.slurm.provider import ROOT, QuickSlurmProvider, worker_init

PARTITIONS = ("main", "left", "right")
_PATH = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
_COMMAND = f"{_PATH}from tests.services.scheduler.commands import main; sys.exit(main(*sys.argv[1:]))"
_RUNNER = f"{_PATH}from tests.services.scheduler.runner import main; main(*sys.argv[1:])"


class FakeScheduler:
    """Runs jobs as processes of this host, each with nodes of its own as far as the scheduler is concerned.

    Args:
        directory: for its commands and what it knows.
        nodes: how many.
        minute: seconds that a minute of a walltime lasts.
        accounting: whether sacct answers; else Parsl's provider asks squeue, which forgets what has ended.

    Attributes:
        bin: the directory of its commands, to be put first on PATH.
        env: what its clients need in their environment: PATH, and the mark by which its jobs are found.
    """

    def __init__(
        self, directory: Path, nodes: int = 4, *, minute: float = 60.0, accounting: bool = False
    ) -> None:
        self.directory, self.bin = directory / "scheduler", directory / "scheduler" / "bin"
        (self.directory / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        self.nodes = tuple(f"f{number}" for number in range(1, nodes + 1))
        self._store = Store(self.directory)
        self._store.create(list(self.nodes), minute)
        with self._store.open() as state:
            state |= {"accounting": accounting, "partitions": list(PARTITIONS)}
        self._mark = str(self.directory)
        self._guard = processes.start_guard(self._mark)
        self.env = {"PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', os.defpath)}", MARK: self._mark}
        for command in COMMANDS:
            self._write(command)

    def close(self) -> None:
        """End all jobs, and it."""
        processes.kill_marked(self._mark)
        self._guard.kill()
        self._guard.wait()

    def provider(self, **options: Any) -> QuickSlurmProvider:
        """Parsl's own provider, for this scheduler; its commands must be on PATH."""
        init = f"{worker_init()}\n{options.pop('worker_init', '')}"
        return QuickSlurmProvider(
            **{"partition": "main", "walltime": "00:10:00", "worker_init": init, **options}
        )

    # ---------------------------------------------------------------- faults

    def blip(
        self, seconds: float | None = None, words: str = faults.UNREACHABLE, commands: Sequence[str] = ()
    ) -> None:
        """Let commands (none: all) fail with these words for so long (None: until ``well``)."""
        self._set("blip", seconds, commands, words=words)

    def lie(self, seconds: float | None = None, commands: Sequence[str] = ()) -> None:
        """Let squeue, sacct and scontrol know of no job, with exit status 0."""
        self._set("lie", seconds, commands)

    def delay(self, each: float, seconds: float | None = None, commands: Sequence[str] = ()) -> None:
        """Let commands take so many seconds more."""
        self._set("delay", seconds, commands, seconds=each)

    def refuse(self, words: str, seconds: float | None = None) -> None:
        """Take no job."""
        self._set("refuse", seconds, (), words=words)

    def limit(self, per_minute: int, ban_after: int | None = None) -> None:
        """Refuse what is submitted faster; who was refused ``ban_after`` times is banned for good."""
        with self._store.open() as state:
            state["faults"]["limit"] = {
                "per_minute": per_minute,
                "ban_after": ban_after,
                "since": time.monotonic(),
            }

    def hold(self, holds: bool = True) -> None:
        """Start no job: the queue is full."""
        with self._store.open() as state:
            state["faults"]["hold"] = holds

    def wait(self, seconds: float) -> None:
        """Start each job so long after its submission, not earlier."""
        with self._store.open() as state:
            state["faults"]["wait"] = seconds

    def well(self) -> None:
        """End all faults."""
        with self._store.open() as state:
            state["faults"] = {}

    def forget(self, job: str) -> None:
        """Know a job that has ended no more."""
        with self._store.open() as state:
            state["jobs"][job]["forgotten"] = True

    # ---------------------------------------------------------------- nodes and jobs

    def down(self, node: str) -> None:
        """Declare a node dead: its jobs are killed, and requeued if they may be."""
        self._node(node, "down")

    def drain(self, node: str) -> None:
        """Let a node take no more jobs."""
        self._node(node, "drain")

    def resume(self, node: str) -> None:
        """Let a node take jobs again."""
        self._node(node, "up")

    def cancel(self, *jobs: str) -> None:
        """End jobs, as an administrator does."""
        self._ask(jobs, "CANCELLED")

    def requeue(self, *jobs: str) -> None:
        """End jobs' processes and let them wait again."""
        self._ask(jobs, "REQUEUE")

    def expire(self, *jobs: str) -> None:
        """Let jobs' walltime be over now."""
        self._ask(jobs, "TIMEOUT")

    def jobs(self, *, ended: bool = False) -> list[dict[str, Any]]:
        """What is true of each job that is not over, or of each job."""
        return [job for job in self._store.read()["jobs"].values() if ended or job["state"] not in OVER]

    def calls(self, command: str = "") -> list[tuple[float, str, list[str]]]:
        """Calls of one command, or of all: monotonic time, command, arguments."""
        return [call for call in self._store.calls() if command in {"", call[1]}]

    # ---------------------------------------------------------------- within

    def _set(self, fault: str, lasts: float | None, commands: Sequence[str], **more: Any) -> None:
        until = None if lasts is None else time.monotonic() + lasts
        with self._store.open() as state:
            state["faults"][fault] = {"until": until, "commands": list(commands), **more}

    def _node(self, node: str, now: str) -> None:
        with self._store.open() as state:
            set_node(state, node, now)

    def _ask(self, jobs: Sequence[str], what: str) -> None:
        with self._store.open() as state:
            for job in jobs:
                state["jobs"][job]["ask"] = what

    def _write(self, command: str) -> None:
        runner, code = shlex.quote(_RUNNER), shlex.quote(_COMMAND)
        mark = shlex.quote(self._mark)
        call = f"{shlex.quote(sys.executable)} -I -S -c {code} {command} {mark}"
        path = self.bin / command
        path.write_text(
            f'#!/bin/sh\nexport {MARK}={mark} _TESTS_RUNNER={runner}\nexec {call} "$@"\n', "utf-8"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
