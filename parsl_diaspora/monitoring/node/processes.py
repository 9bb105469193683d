"""The processes of a pool, read from /proc: only those that are its own, so a crowded node costs no more.

psutil would make the same system calls, but through objects that cost ten times the reading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _TIMES, _STARTED, _RESIDENT = 1, slice(11, 15), 19, 21  # fields of stat, after the name


class Process(msgspec.Struct, frozen=True, gc=False):
    """One process at one moment.

    Attributes:
        pid: its id.
        parent: id of its parent.
        started: since the node's start, in ticks; tells two processes with one pid apart.
        cpu: seconds of its own and of children that it has waited for.
        memory: resident bytes.
    """

    pid: int
    parent: int
    started: int
    cpu: float
    memory: int


class Transferred(msgspec.Struct, frozen=True, gc=False):
    """Bytes that a process, and children that it has waited for, have read from and written to storage."""

    read: int = 0
    written: int = 0


class Processes:
    """Reads /proc. What cannot be read is counted, never raised.

    Args:
        proc: where the kernel shows its processes.

    Attributes:
        vanished: processes that ended while they were read.
        unreadable: files that the kernel did not show.

    Example:
        >>> import os
        >>> Processes().read(os.getpid()).parent == os.getppid()
        True
    """

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._root = 0
        self._foreign: dict[str, int] = {}  # by name: the number of the directory, which no two lives share
        self.vanished = 0
        self.unreadable = 0

    def below(self, root: int) -> dict[int, Process]:
        """A process and all that descend from it, by pid, parents first; empty if it is gone.

        A process that was found to be no descendant can never become one, so it is read only once.
        """
        if root != self._root:
            self._root, self._foreign = root, {}
        candidates: dict[int, tuple[str, int, Process]] = {}
        seen: dict[str, int] = {}
        for name, number in self._listed():
            if self._foreign.get(name) == number:
                seen[name] = number
            elif (process := self.read(int(name))) is not None:
                candidates[process.pid] = name, number, process
        children = children_of(process for _, _, process in candidates.values())
        found = descendants(root, children) if root in candidates else []
        own = {pid: candidates[pid][2] for pid in found}
        if own:
            seen.update((name, number) for pid, (name, number, _) in candidates.items() if pid not in own)
        self._foreign = seen
        return own

    def read(self, pid: int) -> Process | None:
        """One process; None if it is gone or hidden."""
        text = self._text(f"{self._proc}/{pid}/stat")
        try:
            fields = text.rpartition(b")")[2].split()
            return Process(
                pid=pid,
                parent=int(fields[_PARENT]),
                started=int(fields[_STARTED]),
                cpu=sum(map(int, fields[_TIMES])) / _TICKS,
                memory=int(fields[_RESIDENT]) * _PAGE,
            )
        except (IndexError, ValueError):
            self.unreadable += bool(text)
            return None

    def transferred(self, pid: int) -> Transferred:
        """What a process has moved to and from storage; zeros if it is gone or hidden."""
        found = {}
        for line in self._text(f"{self._proc}/{pid}/io").splitlines():
            name, _, value = line.partition(b": ")
            found[name] = int(value) if value.isdigit() else 0
        return Transferred(found.get(b"read_bytes", 0), found.get(b"write_bytes", 0))

    def open_files(self, pid: int) -> int:
        """File descriptors of a process; 0 if it is gone or hidden."""
        try:
            return len(os.listdir(f"{self._proc}/{pid}/fd"))
        except OSError as error:
            self._count(error)
            return 0

    def _listed(self) -> Iterator[tuple[str, int]]:
        try:
            with os.scandir(self._proc) as entries:
                yield from [(entry.name, entry.inode()) for entry in entries if entry.name.isdigit()]
        except OSError as error:
            self._count(error)

    def _text(self, path: str) -> bytes:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._count(error)
            return b""
        try:
            return os.read(file, 4_096)
        except OSError as error:
            self._count(error)
            return b""
        finally:
            os.close(file)

    def _count(self, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | ProcessLookupError):
            self.vanished += 1
        else:
            self.unreadable += 1


def children_of(processes: Iterable[Process]) -> dict[int, list[int]]:
    """The children of each process, by its pid."""
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process.pid)
    return children


def descendants(root: int, children: dict[int, list[int]]) -> list[int]:
    """A process and all below it, parents first.

    Example:
        >>> descendants(2, {1: [2, 5], 2: [3], 3: [4]})
        [2, 3, 4]
    """
    found = [root]
    for pid in found:
        found.extend(child for child in children.get(pid, ()) if child != pid)
    return found


def text_of(path: str | Path) -> str:
    """What a file of the kernel says; empty if it does not.

    Example:
        >>> text_of("/proc/no/such/file")
        ''
    """
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def numbers_of(text: str) -> dict[str, int]:
    r"""Lines of a name and a number, as the kernel writes them.

    Example:
        >>> numbers_of("oom 1\noom_kill 2\nMemTotal:  16 kB")
        {'oom': 1, 'oom_kill': 2, 'MemTotal': 16}
    """
    lines = (line.replace(":", " ").split() for line in text.splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}
