"""What is known about a failed try beyond its exception: its node, its block, its memory, its neighbours."""

from __future__ import annotations

import msgspec


class Context(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts about the place and the time of a failure. What nobody has told is None, empty or zero.

    Attributes:
        memory_peak: most resident bytes of the try's worker.
        memory_limit: bytes that the pool may have, of its node or its control group.
        memory_free: bytes that were free at the node when it was last sampled.
        memory_growth: bytes a second by which the worker grew over its last samples.
        out_of_memory: the kernel or a control group ran out of memory there within the last seconds.
        address_space: kernel limit of the pool on a process's address space, bytes.
        walltime_left: seconds that the try's block had left; None if nobody declared a walltime.
        block_state: of the try's block, as ``RUNNING`` or ``TIMEOUT``.
        node_ending: why the node's supervisor was told to end, as ``SIGTERM``.
        node_gone: the node's supervisor is gone, too, or its connection is closed.
        node_silent: seconds for which the node was not heard before it was given up.
        manager_ended: why the manager's process came to its end, as its supervisor has told.
        failures_there: different tasks that failed at that place lately.
        successes_there: tries that ever succeeded there.
        batch_words: what the batch system answered when it refused a block.
    """

    memory_peak: int | None = None
    memory_limit: int | None = None
    memory_free: int | None = None
    memory_growth: float | None = None
    out_of_memory: bool = False
    address_space: int | None = None
    walltime_left: float | None = None
    block_state: str = ""
    node_ending: str = ""
    node_gone: bool = False
    node_silent: float = 0.0
    manager_ended: str = ""
    failures_there: int = 0
    successes_there: int = 0
    batch_words: str = ""

    def with_more(self, other: Context) -> Context:
        """These facts, and over them those that the other one has."""
        if other == NOTHING_KNOWN:
            return self
        told = {name: value for name, value in msgspec.structs.asdict(other).items() if value}
        return msgspec.structs.replace(self, **told)

    @property
    def memory_part(self) -> float | None:
        """The part of the limit that the worker had at its peak."""
        limits = [limit for limit in (self.memory_limit, self.address_space) if limit]
        return self.memory_peak / min(limits) if self.memory_peak and limits else None


NOTHING_KNOWN = Context()
