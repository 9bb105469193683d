"""Whether this worker is a place for a try: some avoid it, some need more memory or time than it has."""

from __future__ import annotations

import resource

from parsl_diaspora.executors.launch import MAX_DECLINES, Launch, Report
from parsl_diaspora.monitoring.worker.place import time_left

WORKER, NODE, BLOCK = "worker:", "node:", "block:"


def declines(launch: Launch, report: Report) -> bool:
    """Whether a try is to be handed back.

    Args:
        launch: what the worker is told of the try.
        report: tells where the worker is.

    Example:
        >>> here = Report("0", "m1", 3, "n17", 4711)
        >>> declines(Launch("run", 1, 0, "cpu", avoid=("node:n17",)), here)
        True
        >>> declines(Launch("run", 1, 0, "cpu", avoid=("worker:m1/2",)), here)
        False
    """
    if not (launch.avoid or launch.memory or launch.seconds):
        return False
    if launch.declined >= MAX_DECLINES:
        return False
    names = (
        report.manager,
        f"{WORKER}{report.manager}/{report.worker}",
        f"{NODE}{report.node}",
        f"{BLOCK}{report.block}",
    )
    if any(name in launch.avoid for name in names):
        return True
    return bool(
        (launch.seconds and launch.seconds > time_left()) or (launch.memory and launch.memory > free_memory())
    )


def free_memory() -> int:
    """Bytes that a try may still have here: of the node, its group, and the process's limits."""
    import psutil  # only where memory is asked for: each worker that starts would pay for it

    from parsl_diaspora.monitoring.node.cgroups import ControlGroup

    rooms = [psutil.virtual_memory().available]
    group = ControlGroup.of()
    if group is not None and (room := group.free) is not None:
        rooms.append(room)
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            rooms.append(soft)
    return min(rooms)
