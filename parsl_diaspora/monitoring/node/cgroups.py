"""The control group of a process: what memory it may have, and how often the kernel had to step in.

Version 1 and 2 of control groups; a limit of any group above counts, as the kernel counts it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from parsl_diaspora.events import NodeShortOfMemory
from parsl_diaspora.monitoring.node.processes import numbers_of, text_of

_NO_LIMIT = 2**60  # version 1 says "none" with the largest number of pages
_TIGHT = 0.05
_ROOT, _WHERE, _BY_KIND = 3, 4, 2  # fields of a line of mountinfo


class _Files(msgspec.Struct, frozen=True):
    limit: str
    used: str
    cache: str  # of memory.stat: what the kernel can take back at once


_V1 = _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Files("memory.max", "memory.current", "inactive_file")


class ControlGroup:
    """Where a process's memory is accounted.

    Args:
        directory: of the group.
        top: of the mounted hierarchy, which has no limit of its own.
        version: 1 or 2.
    """

    def __init__(self, directory: Path, top: Path, version: int) -> None:
        self.directory = directory
        self.version = version
        self._files = _V1 if version == 1 else _V2
        inside = directory == top or top in directory.parents
        above = [each for each in directory.parents if top in each.parents or each == top] if inside else []
        self._groups = (directory, *above)

    @classmethod
    def of(cls, pid: int | str = "self", proc: str = "/proc") -> ControlGroup | None:
        """The group that accounts the memory of a process; None where there is none to be seen.

        Example:
            >>> ControlGroup.of(proc="/no/such/directory") is None
            True
        """
        groups = _groups(text_of(f"{proc}/{pid}/cgroup"))
        mounts = text_of(f"{proc}/{pid}/mountinfo").splitlines()
        for version, kind, path in groups:
            for line in mounts:
                if (place := _place(line, kind, path)) is not None:
                    return cls(*place, version)
        return None

    @property
    def limit(self) -> int | None:
        """Bytes that it may have; None for no limit."""
        return min((limit for each in self._groups if (limit := self._limit(each)) is not None), default=None)

    @property
    def used(self) -> int:
        """Bytes that the tightest group in force accounts."""
        tightest = min(self._limited(), default=(0, self.directory))[1]
        return _number(tightest / self._files.used) or 0

    @property
    def free(self) -> int | None:
        """Bytes that a process may still have, with what the kernel can take back; None for no limit."""
        return min((room for room, _ in self._limited()), default=None)

    @property
    def cores(self) -> float | None:
        """Cores that its share of time comes to; None for no limit. Version 2 only."""
        shares = (_share(text_of(each / "cpu.max")) for each in self._groups)
        return min((share for share in shares if share is not None), default=None)

    @property
    def processes(self) -> int | None:
        """Processes and threads that it may have; None for no limit. Version 2 only."""
        counts = (_number(each / "pids.max") for each in self._groups)
        return min((count for count in counts if count is not None), default=None)

    def counts(self) -> dict[str, int]:
        """How often what happened, ever: ``max`` the limit was met, ``oom`` in vain, ``oom_kill`` fatally."""
        if self.version == 1:
            found = numbers_of(text_of(self.directory / "memory.oom_control"))
            counts = {name: found[name] for name in ("oom_kill",) if name in found}
            met = [_number(each / "memory.failcnt") for each in self._groups]
            return counts | {"max": sum(number or 0 for number in met)}
        return numbers_of(text_of(self.directory / "memory.events"))

    def _limited(self) -> list[tuple[int, Path]]:
        found = ((self._limit(each), each) for each in self._groups)
        return [(self._room(each, limit), each) for limit, each in found if limit is not None]

    def _limit(self, directory: Path) -> int | None:
        limit = _number(directory / self._files.limit)
        return limit if limit is not None and limit < _NO_LIMIT else None

    def _room(self, directory: Path, limit: int) -> int:
        cache = numbers_of(text_of(directory / "memory.stat")).get(self._files.cache, 0)
        return max(0, min(limit, limit - (_number(directory / self._files.used) or 0) + cache))


class MemoryEvents:
    """What the kernel has done about memory since it was last asked.

    Args:
        group: the pool's control group; None where there is none.
        proc: where the kernel shows its own counts, which are used where the group has none.

    Example:
        >>> MemoryEvents(None, proc="/no/such/directory").changes()
        {}
    """

    def __init__(self, group: ControlGroup | None, proc: str = "/proc") -> None:
        self._group = group
        own = group.counts() if group is not None else {}
        self._node = (
            "" if "oom_kill" in own else f"{proc}/vmstat"
        )  # the topmost group has no count of its own
        self._before = self._counts()

    def changes(self) -> dict[str, int]:
        """How often what happened since the last call, as ``{"oom_kill": 1}``."""
        now = self._counts()
        grown = {name: count - self._before.get(name, 0) for name, count in now.items()}
        self._before = now
        return {name: growth for name, growth in grown.items() if growth > 0}

    def event(self, changes: dict[str, int]) -> NodeShortOfMemory | None:
        """What there is to say of such changes.

        A group whose limit is met by files that were read is not short of memory: the kernel forgets them.
        """
        group = self._group
        limit, free = (group.limit, group.free) if group is not None else (None, None)
        tight = limit is not None and free is not None and free < limit * _TIGHT
        if not (changes.get("oom_kill") or changes.get("oom") or (changes.get("max") and tight)):
            return None
        used = group.used if group is not None else 0
        return NodeShortOfMemory(counts=changes, used=used, limit=limit)

    def _counts(self) -> dict[str, int]:
        counts = self._group.counts() if self._group is not None else {}
        if self._node:
            found = numbers_of(text_of(self._node))
            counts |= {name: found[name] for name in ("oom_kill",) if name in found}
        return counts


def _groups(text: str) -> list[tuple[int, str, str]]:
    """Version, controller and path of the groups that may account memory, version 1 first if it does."""
    lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") > 1]
    first = [(1, "memory", path) for _, controllers, path in lines if "memory" in controllers.split(",")]
    return [*first, *((2, "", path) for number, _, path in lines if number == "0")]


def _place(line: str, kind: str, path: str) -> tuple[Path, Path] | None:
    """Directory of a group and top of its hierarchy, if this line of mountinfo tells where it is mounted."""
    before, _, after = line.partition(" - ")
    fields, mount = before.split(), after.split()
    if len(fields) <= _WHERE or len(mount) <= _BY_KIND:
        return None
    fits = kind in mount[_BY_KIND].split(",") if kind else True
    if mount[0] != ("cgroup" if kind else "cgroup2") or not fits:
        return None
    top = Path(fields[_WHERE])
    inner = _within(path, fields[_ROOT])
    directory = top / inner if inner is not None else top
    return (directory if directory.is_dir() else top), top


def _within(path: str, root: str) -> str | None:
    """The part of a group's path below the mounted one; None if a container cannot see it."""
    if root == "/":
        return path.lstrip("/") if ".." not in path.split("/") else None
    return path[len(root) :].lstrip("/") if path == root or path.startswith(root + "/") else None


def _number(path: Path) -> int | None:
    text = text_of(path).strip()
    return int(text) if text.isdigit() else None


def _share(text: str) -> float | None:
    quota, _, period = text.strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None
