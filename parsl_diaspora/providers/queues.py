"""What schedulers have queued for this user, and how it is taken out again: one class a kind.

Only the scheduler's own commands are called, no provider is needed: the program that made one may be dead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import NamedTuple, Protocol

import msgspec

from parsl_diaspora.errors import PoolError

PATIENCE = 30.0  # seconds for one command
_RUN = re.compile(r"\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=\.|$)")
SCRIPTS = "submit_scripts"  # where Parsl writes the scripts of a run's blocks, within its run directory


class QueuedJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job that waits or runs.

    Attributes:
        scheduler: kind of the scheduler, as ``slurm``.
        id: in the scheduler's terms.
        name: of the job.
        state: in the scheduler's words.
        used: how long it has run, in the scheduler's words.
        script: path of its script, if the scheduler tells.

    Example:
        >>> name = "parsl.alder.block-0.0b8f1a42-75d4-4f5c-9c39-1e1a3a6f3c11.east.1795822624.6"
        >>> QueuedJob(scheduler="slurm", id="7", name=name, state="PENDING").run
        '0b8f1a42-75d4-4f5c-9c39-1e1a3a6f3c11'
    """

    scheduler: str
    id: str
    name: str
    state: str
    used: str = ""
    script: str = ""

    @property
    def run(self) -> str:
        """The run id in its name; empty if there is none."""
        found = _RUN.search(self.name)
        return found[1] if found else ""

    @property
    def run_dir(self) -> str:
        """Parsl's run directory that its script lies in; empty if it is no block of Parsl."""
        place = PurePath(self.script).parent
        return str(place.parent) if place.name == SCRIPTS and place.is_absolute() else ""


class Answer(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str


Call = Callable[[Sequence[str]], Answer]


class Queue(Protocol):
    """Jobs of this user at one scheduler."""

    scheduler: str

    def jobs(self) -> list[QueuedJob]:
        """Those that wait or run.

        Raises:
            PoolError: the scheduler does not answer; its own words are in the message.
        """
        ...

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs; those that have ended are left alone.

        Raises:
            PoolError: the scheduler does not answer, or does not do it.
        """
        ...


class SlurmQueue:
    """By squeue and scancel.

    Args:
        call: runs a command.
    """

    scheduler = "slurm"
    commands = ("squeue", "scancel")

    def __init__(self, call: Call | None = None) -> None:
        self._call = call or call_command

    def jobs(self) -> list[QueuedJob]:
        """Those that wait or run."""
        command = ("squeue", "--noheader", f"--user={os.getuid()}", "--format=%i\t%T\t%M\t%o\t%j")
        lines = _checked(self._call, command).splitlines()
        return [job for line in lines if (job := self._read(line)) is not None]

    def cancel(self, ids: Sequence[str]) -> None:
        """End jobs; those that have ended are left alone."""
        if ids:
            _checked(self._call, ("scancel", *ids))

    def _read(self, line: str) -> QueuedJob | None:
        number, state, used, script, name = [*line.split("\t", 4), "", "", "", ""][:5]
        if not number.strip():
            return None
        return QueuedJob(
            scheduler=self.scheduler, id=number, state=state, used=used, script=script, name=name
        )


#: Kinds of schedulers that are asked, where their commands are on PATH.
QUEUES: tuple[type[SlurmQueue], ...] = (SlurmQueue,)


def queues_here() -> list[Queue]:
    """One for each scheduler whose commands are on PATH."""
    return [kind() for kind in QUEUES if all(shutil.which(command) for command in kind.commands)]


def call_command(command: Sequence[str]) -> Answer:
    """Run a command of a scheduler.

    Raises:
        PoolError: it cannot be run, or does not end in time.
    """
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"{command[0]} has not answered for {PATIENCE:g} s."
        raise PoolError(message, hint="The scheduler may be busy or down; try again later.") from error
    except OSError as error:
        hint = "Run this where jobs are submitted, or load the scheduler's module first."
        raise PoolError(f"{command[0]} cannot be run: {error}.", hint=hint) from error
    return Answer(done.returncode, done.stdout, done.stderr)


def _checked(call: Call, command: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        PoolError: it failed: nothing is known of any job then.
    """
    answer = call(command)
    if answer.status:
        words = (answer.err or answer.out).strip() or "it says nothing"
        message = f"{command[0]} ended with {answer.status}: {words}."
        raise PoolError(message, hint="The scheduler may be busy or down; try again later.")
    return answer.out
