"""What `top` shows at one moment, as data: printed as JSON, or put into tables."""

from __future__ import annotations

import msgspec


class AppRow(msgspec.Struct, kw_only=True):
    """Tasks of one app.

    Attributes:
        app: its name; empty for tasks of which nothing but the end is known.
        waiting: tries that are with an executor, or will be soon, and do not run.
        running: tasks that run.
        done: tasks that succeeded, or whose result was known.
        failed: tasks that failed.
        dependency_failed: tasks that never ran because another one failed.
        cancelled: tasks that somebody asked to be stopped.
        failed_tries: tries that failed or were lost.
    """

    app: str
    waiting: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    dependency_failed: int = 0
    cancelled: int = 0
    failed_tries: int = 0


class NodeRow(msgspec.Struct, kw_only=True):
    """One node.

    Attributes:
        node: host name.
        state: ``up``, ``held``, ``draining``, ``suspected``, ``ending`` or ``lost``.
        managers: that are there.
        workers: of these.
        running: tries that run there.
        failed: tries that failed there.
        cores: that the pool may use; None if no supervisor told.
        cpu: cores in use by anybody.
        memory: bytes that the pool may use.
        memory_used: bytes in use by anybody.
        pool_cpu: cores in use by the pool.
        pool_memory: bytes of the pool.
        disk_free: bytes.
        gpu: busy part of the accelerators, 0 to 1.
        sampled: when these were measured, seconds UTC; None if never.
        note: why it is in that state.
    """

    node: str
    state: str = "up"
    managers: int = 0
    workers: int = 0
    running: int = 0
    failed: int = 0
    cores: int | None = None
    cpu: float | None = None
    memory: int | None = None
    memory_used: int | None = None
    pool_cpu: float | None = None
    pool_memory: int | None = None
    disk_free: int | None = None
    gpu: float | None = None
    sampled: float | None = None
    note: str = ""


class BlockRow(msgspec.Struct, kw_only=True):
    """One block."""

    executor: str
    block: str
    state: str
    job: str = ""
    managers: int = 0
    workers: int = 0
    running: int = 0


class WorkerRow(msgspec.Struct, kw_only=True):
    """One worker.

    Attributes:
        executor: label.
        node: host name.
        manager: manager id.
        worker: rank.
        pid: on its node.
        task: that it runs; None if it is idle.
        try_id: of that task.
        app: name of the app.
        seconds: that the try has run.
        cpu: cores in use.
        memory: resident bytes, children included.
    """

    executor: str
    node: str
    manager: str
    worker: int
    pid: int = 0
    task: int | None = None
    try_id: int | None = None
    app: str = ""
    seconds: float | None = None
    cpu: float | None = None
    memory: int | None = None


class HoldRow(msgspec.Struct, kw_only=True):
    """A place that gets no new work, ``held``, ``draining`` or in ``quarantine``; or a held task."""

    what: str
    place: str
    since: float
    owner: str = ""
    reason: str = ""


class Happening(msgspec.Struct, kw_only=True):
    """Something that happened.

    Attributes:
        time: when, seconds UTC.
        kind: of the event.
        task: Parsl's task id, if it is about one.
        place: where.
        words: what.
    """

    time: float
    kind: str
    task: int | None = None
    place: str = ""
    words: str = ""


class Frame(msgspec.Struct, kw_only=True):
    """One look at a run.

    Attributes:
        run: Parsl's run id.
        program: the script's file name.
        state: as `parsl_diaspora.state.run_state.run_state` says it.
        time: of this look: now, or the run's last event if it has ended; seconds UTC.
        seconds: that the run has taken.
        events: read so far.
        lag: events that are there and not read yet; None if the fabric cannot tell.
        outstanding: tries launched and not ended.
        rate: tasks that ended in a second, over the last ten.
        mean_rate: the same over the whole run.
        history: tasks that ended in each of the last sixty seconds, the newest last.
        apps: tasks by app.
        nodes: all that are not long gone.
        blocks: the same.
        workers: of managers that are there.
        holds: places without new work, and tasks that wait for a person.
        failures: newest first.
        decisions: newest first.
        incidents: what else happened to places and to this package itself, newest first.
    """

    run: str
    program: str = ""
    state: str = ""
    time: float = 0.0
    seconds: float = 0.0
    events: int = 0
    lag: int | None = None
    outstanding: int = 0
    rate: float = 0.0
    mean_rate: float = 0.0
    history: list[int] = []
    apps: list[AppRow] = []
    nodes: list[NodeRow] = []
    blocks: list[BlockRow] = []
    workers: list[WorkerRow] = []
    holds: list[HoldRow] = []
    failures: list[Happening] = []
    decisions: list[Happening] = []
    incidents: list[Happening] = []

    def total(self, what: str) -> int:
        """A count over all apps, as ``total("done")``."""
        return sum(getattr(row, what) for row in self.apps)
