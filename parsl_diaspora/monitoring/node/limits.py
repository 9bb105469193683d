"""The kernel's limits of a process, by names that people know."""

from __future__ import annotations

from parsl_diaspora.monitoring.node.cgroups import ControlGroup
from parsl_diaspora.monitoring.node.processes import text_of

_NAMES = {
    "Max cpu time": "cpu_seconds",
    "Max file size": "file_size",
    "Max data size": "data",
    "Max stack size": "stack",
    "Max core file size": "core_file",
    "Max processes": "processes",
    "Max open files": "open_files",
    "Max locked memory": "locked_memory",
    "Max address space": "address_space",
}
_NAME_ENDS = 26  # a line is name, soft limit, hard limit and unit in columns
_UNLIMITED = 2**63


def limits_of(pid: int | str = "self", proc: str = "/proc") -> dict[str, int | None]:
    """The soft limits of a process, in the kernel's units; None for no limit, empty if it does not say.

    Example:
        >>> "open_files" in limits_of()
        True
        >>> limits_of(proc="/no/such/directory")
        {}
    """
    found = {}
    for line in text_of(f"{proc}/{pid}/limits").splitlines():
        name, values = line[:_NAME_ENDS].strip(), line[_NAME_ENDS:].split()
        if name in _NAMES and values:
            found[_NAMES[name]] = _number(values[0])
    return found


def group_limits(group: ControlGroup | None) -> dict[str, int | float | None]:
    """What a control group allows, as far as it limits anything: ``memory``, ``cores``, ``group_processes``.

    Example:
        >>> group_limits(None)
        {}
    """
    if group is None:
        return {}
    found = {"memory": group.limit, "cores": group.cores, "group_processes": group.processes}
    return {name: value for name, value in found.items() if value is not None}


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() and int(text) < _UNLIMITED else None
