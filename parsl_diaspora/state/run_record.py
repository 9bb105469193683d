"""What a run leaves in its directory, whatever fabric its events go to: who it is, and whether it has ended.

Whether its program lives is told without clocks, which may be set: by the kernel's own numbers.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

RECORD_FILE = "run.json"
_START = 19  # field of /proc/PID/stat behind the name: start of the process in ticks since boot


class RunRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One run, in a few words.

    Attributes:
        run: Parsl's run id.
        program: the script's file name.
        node: host that its program runs on.
        pid: of its program.
        start: of its program, in the kernel's ticks since the host's start; 0 if nobody knows.
        boot: the kernel's id of this life of the host; empty if nobody knows.
        processes: the namespace in which ``pid`` means something; empty if nobody knows.
        ended: time of its end, seconds UTC; 0 while it has not said that it has ended.

    Example:
        >>> import tempfile
        >>> directory = Path(tempfile.mkdtemp())
        >>> record = RunRecord.of_this_program("r1", "fit.py")
        >>> record.write(directory)
        >>> found = RunRecord.read(directory)
        >>> found.run, found.state
        ('r1', 'running')
        >>> RunRecord.read(directory / "other") is None
        True
    """

    run: str
    program: str = ""
    node: str = ""
    pid: int = 0
    start: int = 0
    boot: str = ""
    processes: str = ""
    ended: float = 0.0

    @classmethod
    def of_this_program(cls, run: str, program: str) -> RunRecord:
        """The record of a run that begins in this process."""
        return cls(
            run=run,
            program=program,
            node=os.uname().nodename,
            pid=os.getpid(),
            start=_start_of(os.getpid()),
            boot=_boot(),
            processes=_processes(),
        )

    @property
    def state(self) -> str:
        """``ended``, ``running`` or ``interrupted``; empty if that cannot be told from here."""
        if self.ended:
            return "ended"
        if self.node != os.uname().nodename or not (self.boot and self.start and _boot()):
            return ""
        if self.boot != _boot():
            return "interrupted"  # the host has been started anew
        if self.processes != _processes():
            return ""
        return "running" if _start_of(self.pid) == self.start else "interrupted"

    def write(self, directory: Path) -> None:
        """Put it into a run's directory, in place of what it said there before.

        Raises:
            OSError: it cannot be written.
        """
        beside = directory / f".{RECORD_FILE}.{os.getpid()}"
        beside.write_bytes(msgspec.json.encode(self))
        beside.replace(directory / RECORD_FILE)

    @classmethod
    def read(cls, directory: Path) -> RunRecord | None:
        """The record in a directory; None if there is none that can be read."""
        try:
            return msgspec.json.decode((directory / RECORD_FILE).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError):
            return None


def _start_of(pid: int) -> int:
    """In ticks since the host's start; 0 for no such process, or where the kernel does not tell."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return 0 if state in b"ZX" else int(fields[_START - 1])
    except (OSError, ValueError, IndexError):
        return 0


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def _processes() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
