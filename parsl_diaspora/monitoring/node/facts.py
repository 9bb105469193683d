"""What a node is: told once, when its supervisor begins."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from parsl_diaspora.events import NodeSeen
from parsl_diaspora.monitoring.node.cgroups import ControlGroup
from parsl_diaspora.monitoring.node.gpus import Gpus
from parsl_diaspora.monitoring.node.limits import group_limits, limits_of
from parsl_diaspora.monitoring.node.processes import numbers_of, text_of

_KIBIBYTE = 1_024
_RECORDS = (".dist-info", ".egg-info")


def node_facts(group: ControlGroup | None = None, gpus: Gpus | None = None, proc: str = "/proc") -> NodeSeen:
    """Cores, memory, kernel, limits, accelerators and packages, as the pool will find them.

    Args:
        group: the control group that it runs in.
        gpus: the node's accelerators.
        proc: where the kernel shows its state.

    Example:
        >>> node_facts().cores >= 1
        True
    """
    return NodeSeen(
        pid=os.getpid(),
        cores=cores(group),
        memory=memory(group, proc),
        kernel=f"{platform.system()} {platform.release()}",
        python_version=platform.python_version(),
        limits={**limits_of(proc=proc), **group_limits(group)},
        gpus=gpus.names if gpus is not None else (),
        packages=packages(sys.path),
    )


def cores(group: ControlGroup | None) -> int:
    """Cores that may be used here: by affinity, and by the group's share of time."""
    allowed = len(os.sched_getaffinity(0))
    share = group.cores if group is not None else None
    return allowed if share is None else max(1, min(allowed, math.ceil(share)))


def memory(group: ControlGroup | None, proc: str = "/proc") -> int:
    """Bytes of the node, or of the group if that may have less."""
    total = numbers_of(text_of(f"{proc}/meminfo")).get("MemTotal", 0) * _KIBIBYTE
    limit = group.limit if group is not None else None
    return total if limit is None else min(total or limit, limit)


def packages(path: Iterable[str]) -> dict[str, str]:
    """Installed packages with their versions, from the names of their records: nothing is opened.

    Example:
        >>> "msgspec" in packages(sys.path)
        True
    """
    found: dict[str, str] = {}
    for directory in dict.fromkeys(path):
        for name in _names(directory):
            stem, dot, _ = name.rpartition(".")
            if dot and name.endswith(_RECORDS) and "-" in stem:
                package, version = stem.split("-")[:2]
                found.setdefault(package.replace("_", "-").lower(), version)
    return dict(sorted(found.items()))


def _names(directory: str) -> list[str]:
    try:
        return [each.name for each in Path(directory or ".").iterdir()]
    except OSError:
        return []
