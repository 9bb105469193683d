"""What a supervisor says of its node, pool and workers, and what is concluded from its silence."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic


class NodeSeen(Event, tag="node.seen"):
    """A supervisor began its work on a node; its pool of workers has the manager id of the envelope.

    Attributes:
        pid: of the supervisor.
        cores: that the pool may run on.
        memory: of the node, or of the pool's control group where that has a limit; bytes.
        kernel: the operating system's name and release.
        python_version: of the supervisor.
        limits: kernel limits of the pool, as ``{"open_files": 1024}``; None for none.
        gpus: names of the accelerators.
        packages: installed Python packages with their versions.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    cores: int = 0
    memory: int = 0
    kernel: str = ""
    python_version: str = ""
    limits: dict[str, Any] = msgspec.field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    packages: dict[str, str] = msgspec.field(default_factory=dict)


class NodeSampled(Event, tag="node.sampled"):
    """How much of a node is in use.

    Attributes:
        cpu: cores in use by anybody, mean since the sample before.
        load: processes that run or wait for a core, mean of a minute.
        memory_used: bytes, by anybody.
        memory_free: bytes that a process may still have, within the control group's limit.
        disk_free: bytes on the file system of the pool's working directory.
        pool_cpu: cores in use by the pool's processes.
        pool_memory: bytes of the pool's processes.
        gpu: busy part of the accelerators, 0 to 1; None without any.
        gpu_memory_used: bytes; None without any.
    """

    topic: ClassVar[Topic] = "resources"

    cpu: float = 0.0
    load: float = 0.0
    memory_used: int = 0
    memory_free: int = 0
    disk_free: int = 0
    pool_cpu: float = 0.0
    pool_memory: int = 0
    gpu: float | None = None
    gpu_memory_used: int | None = None


class WorkerSampled(Event, tag="worker.sampled"):
    """What a worker and its children use, with the try that it runs.

    Attributes:
        pid: of the worker.
        cpu: cores in use, mean since the sample before.
        memory: resident bytes.
        read: bytes read from storage since the sample before.
        written: bytes written to storage since the sample before.
        open_files: file descriptors of the worker itself.
        processes: of the worker and below it.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    cpu: float = 0.0
    memory: int = 0
    read: int = 0
    written: int = 0
    open_files: int = 0
    processes: int = 1


class WorkerEnded(Event, tag="worker.ended"):
    """A worker's process came to its end. The try is the one that it ran; without one it was idle.

    Attributes:
        pid: of the worker.
        exit_code: exit status; negative for a signal; None if nobody could tell.
        out_of_memory: the kernel, or its control group, ran out of memory at that time.
        memory: resident bytes when it was last looked at.
        stopped: it was ended on purpose, as ``cancelled``.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    exit_code: int | None = None
    out_of_memory: bool = False
    memory: int = 0
    stopped: str = ""


class ManagerEnded(Event, tag="manager.ended"):
    """A manager's process came to its end.

    Attributes:
        pid: of the manager.
        exit_code: exit status; negative for a signal.
        reason: in words.
        next: id of the manager that takes its place in the same block; empty for none.
        workers: of it that had to be ended.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    next: str = ""
    workers: int = 0


class NodeEnding(Event, tag="node.ending"):
    """A supervisor is about to end its pool, or was told that it will be ended.

    Attributes:
        reason: in words, as ``SIGTERM from the batch system``.
        seconds: that are left; None if nobody knows.
    """

    topic: ClassVar[Topic] = "resources"

    reason: str = ""
    seconds: float | None = None


class NodeShortOfMemory(Event, tag="node.short_of_memory"):
    """The control group of a pool met its limit since it was last looked at.

    Attributes:
        counts: what happened how often, as ``{"oom_kill": 1}``.
        used: bytes.
        limit: bytes; None for none.
    """

    topic: ClassVar[Topic] = "resources"

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    used: int = 0
    limit: int | None = None


class NodeSuspected(Event, tag="node.suspected"):
    """A node was not heard for a while, and gets no new work: it may be slow, paused, or gone.

    Attributes:
        seconds: since it was last heard.
        reason: in words.
    """

    topic: ClassVar[Topic] = "resources"

    seconds: float = 0.0
    reason: str = ""


class NodeRecovered(Event, tag="node.recovered"):
    """A suspected node was heard again, and gets work as before.

    Attributes:
        seconds: that it was silent.
    """

    topic: ClassVar[Topic] = "resources"

    seconds: float = 0.0


class NodeLost(Event, tag="node.lost"):
    """A node is given up: its manager's tasks come back as lost.

    Attributes:
        seconds: since it was last heard.
        evidence: what spoke for it, in words.
    """

    topic: ClassVar[Topic] = "resources"

    seconds: float = 0.0
    evidence: tuple[str, ...] = ()


class InterchangeEnded(Event, tag="interchange.ended"):
    """An executor's interchange died, or had to be ended because it answered nothing.

    Attributes:
        pid: of the interchange.
        exit_code: exit status; negative for a signal.
        reason: in words.
        held: tasks that were with it.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    held: int = 0


class InterchangeStarted(Event, tag="interchange.started"):
    """An executor got a new interchange in place of one that had ended.

    Attributes:
        pid: of the interchange.
        number: how many this executor has had, this one included.
        seconds: from the end of the one before.
    """

    topic: ClassVar[Topic] = "resources"

    pid: int = 0
    number: int = 0
    seconds: float = 0.0
