"""Blocks of Parsl's LocalProvider as jobs: what runs on this host for one, its manager and workers included.

Parsl's script of a block tells its name to all that it starts (``JOBNAME``), and our launch command tells the
run, so that they are found also when the script itself, or the manager, was killed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import PurePath

import msgspec
import psutil

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.providers.queues import SCRIPTS, QueuedJob

MARK = "_PARSL_DIASPORA_RUN"  # in the environment of all that a hardened executor's blocks start
NAME = "JOBNAME"  # the same of Parsl's own scripts
GRACE = 3.0  # seconds that a process has to end by itself
_POLL = 0.05


class LocalJob(msgspec.Struct, eq=False):
    """What runs for one block.

    Attributes:
        name: of the job.
        script: its path, as long as it runs.
        run: id of its run, where its processes tell.
        processes: all of them.
    """

    name: str
    script: str = ""
    run: str = ""
    processes: list[psutil.Process] = []

    @property
    def queued(self) -> QueuedJob:
        """As other schedulers' jobs are told."""
        name = self.name if not self.run or self.run in self.name else f"{self.name}.{self.run}"
        return QueuedJob(
            scheduler=LocalQueue.scheduler, id=self.name, name=name, state="RUNNING", script=self.script
        )


class LocalQueue:
    """By the processes of this user on this host. A block that this process is part of is left out.

    Args:
        clock: the system's by default.
    """

    scheduler = "local"

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def jobs(self) -> list[QueuedJob]:
        """Those that run."""
        return [job.queued for job in local_jobs()]

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs: what has not ended a while after it was asked to is killed."""
        left = [each for job in local_jobs() if job.name in ids for each in job.processes]
        for process in left:
            with suppress(psutil.Error):
                process.terminate()
        deadline = self._clock.monotonic() + GRACE
        while (left := [each for each in left if _runs(each)]) and self._clock.monotonic() < deadline:
            self._clock.wait(threading.Event(), _POLL)
        for process in left:
            with suppress(psutil.Error):
                process.kill()


def local_jobs() -> list[LocalJob]:
    """All blocks of LocalProvider that run on this host for this user."""
    found: dict[str, LocalJob] = {}
    mine = os.environ.get(NAME, "")
    for process, name, script, run in _parts():
        if name != mine:
            job = found.setdefault(name, LocalJob(name, processes=[]))
            job.processes.append(process)
            job.script, job.run = job.script or script, job.run or run
    return [job for job in found.values() if job.script or job.run]


def _parts() -> Iterator[tuple[psutil.Process, str, str, str]]:
    """Processes of blocks, each with the job's name, its script and its run, as far as the process tells."""
    user = os.getuid()
    for process in psutil.process_iter():
        try:
            if process.uids().real != user or process.status() == psutil.STATUS_ZOMBIE:
                continue
            command, environment = process.cmdline(), process.environ()
        except (psutil.Error, OSError):
            continue  # gone, or it does not let itself be looked at
        script = _script(command)
        if name := PurePath(script).stem if script else environment.get(NAME, ""):
            yield process, name, script, environment.get(MARK, "")


def _script(command: Sequence[str]) -> str:
    """The script of a block that a shell runs; empty if it is something else."""
    shell, *rest = command or [""]
    if PurePath(shell).name != "bash" or len(rest) != 1:
        return ""
    place = PurePath(rest[0])
    return rest[0] if place.parent.name == SCRIPTS and place.is_absolute() else ""


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended; one that nobody has taken note of yet has."""
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
