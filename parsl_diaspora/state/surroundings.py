"""What went on around tries: memory, orders to end, silence, the states of blocks. Folded event by event.

Kept in small records per manager, worker and block, so that every question is answered in O(1).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.events import (
    BlockLost,
    BlockSeen,
    Event,
    NodeEnding,
    NodeLost,
    NodeRecovered,
    NodeSampled,
    NodeSeen,
    NodeShortOfMemory,
    NodeSuspected,
    WorkerEnded,
    WorkerSampled,
)

SAMPLES = 8
KEPT = 4_096  # records of each kind; the oldest go first
OUTSIDE = "from outside"
RUNNING = "RUNNING"
WORDS = 300
_REFUSED = re.compile("(?i)sbatch|qsub|bsub|submi(t|ssion)|account|partition|qos|quota").search


class Surrounding(msgspec.Struct):
    """What is known of one manager's node.

    Attributes:
        memory_limit: bytes that its pool may have.
        address_space: kernel limit of a process there, bytes.
        memory_free: bytes, as last sampled.
        out_of_memory_at: when memory last ran out there, seconds UTC.
        ending: why its supervisor was told from outside to end.
        silent_since: since when it has not been heard, seconds UTC; 0 while it is.
        gone: its supervisor is known to be gone, too.
        samples: the newest (time, resident bytes) of each worker, by rank.
    """

    memory_limit: int | None = None
    address_space: int | None = None
    memory_free: int | None = None
    out_of_memory_at: float = 0.0
    ending: str = ""
    silent_since: float = 0.0
    gone: bool = False
    samples: dict[int | None, deque[tuple[float, int]]] = msgspec.field(default_factory=dict)

    def growth(self, worker: int | None) -> float | None:
        """Bytes a second by which a worker grew over its last samples; None with fewer than three."""
        seen = self.samples.get(worker)
        if seen is None or len(seen) < 3:  # noqa: PLR2004 - two points make no trend
            return None
        (began, least), (ended, most) = seen[0], seen[-1]
        return (most - least) / (ended - began) if ended > began else None

    def last_memory(self, worker: int | None) -> int | None:
        """Resident bytes of a worker when it was last sampled; None if it never was."""
        seen = self.samples.get(worker)
        return seen[-1][1] if seen else None


class Block(msgspec.Struct):
    """What is known of one block.

    Attributes:
        state: Parsl's job state.
        running_since: when it was first seen to run, seconds UTC; 0 if it never was.
        message: the provider's words about its end.
    """

    state: str = ""
    running_since: float = 0.0
    message: str = ""


class Surroundings:
    """The surroundings of one run's tries.

    Example:
        >>> around = Surroundings()
        >>> around.fold(NodeSampled(manager="m1", memory_free=7))
        >>> around.of("m1").memory_free
        7
    """

    def __init__(self) -> None:
        self._managers: dict[str, Surrounding] = {}
        self._blocks: dict[tuple[str, str], Block] = {}
        self._refusals: dict[str, str] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Surroundings) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def of(self, manager: str | None) -> Surrounding:
        """What is known of a manager's node."""
        return self._managers.get(manager or "") or Surrounding()

    def block(self, executor: str | None, block: str | None) -> Block:
        """What is known of a block."""
        return self._blocks.get((executor or "", block or "")) or Block()

    def refusal(self, executor: str | None) -> str:
        """What the batch system said when it last refused a block of an executor; empty if it did not."""
        return self._refusals.get(executor or "", "")

    def fold(self, event: Event) -> None:
        """Take note of an event; those of other kinds change nothing."""
        if (handler := _FOLDS.get(type(event))) is None:
            return
        if isinstance(event, BlockSeen | BlockLost):
            block = _record(self._blocks, (event.executor or "", event.block or ""), Block)
            handler(block, event)
            self._note_refusal(event.executor or "", block)
        elif event.manager is not None:
            handler(_record(self._managers, event.manager, Surrounding), event)

    def _note_refusal(self, executor: str, block: Block) -> None:
        if block.state == RUNNING:
            self._refusals.pop(executor, None)
        elif block.message and not block.running_since and _REFUSED(block.message):
            self._refusals[executor] = " ".join(block.message.split())[:WORDS]


def _record(records: dict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    if (known := records.get(key)) is None:
        while len(records) >= KEPT:
            records.pop(next(iter(records)))
        known = records[key] = make()
    return known


def _seen(near: Surrounding, event: NodeSeen) -> None:
    limit = event.limits.get("memory")
    near.memory_limit = min([event.memory, *([limit] if isinstance(limit, int) and limit else [])]) or None
    space = event.limits.get("address_space")
    near.address_space = space if isinstance(space, int) else None


def _sampled(near: Surrounding, event: NodeSampled) -> None:
    near.memory_free = event.memory_free


def _worker_sampled(near: Surrounding, event: WorkerSampled) -> None:
    seen = near.samples.get(event.worker)
    if seen is None:
        seen = near.samples[event.worker] = deque(maxlen=SAMPLES)
    seen.append((event.time, event.memory))


def _worker_ended(near: Surrounding, event: WorkerEnded) -> None:
    near.samples.pop(event.worker, None)
    if event.out_of_memory:
        near.out_of_memory_at = max(near.out_of_memory_at, event.time)


def _short_of_memory(near: Surrounding, event: NodeShortOfMemory) -> None:
    if any(event.counts.get(name) for name in ("oom_kill", "oom", "oom_group_kill")):
        near.out_of_memory_at = max(near.out_of_memory_at, event.time)


def _ending(near: Surrounding, event: NodeEnding) -> None:
    if OUTSIDE in event.reason:
        near.ending = event.reason


def _suspected(near: Surrounding, event: NodeSuspected) -> None:
    near.silent_since = event.time - event.seconds


def _recovered(near: Surrounding, event: NodeRecovered) -> None:
    near.silent_since = 0.0


def _lost(near: Surrounding, event: NodeLost) -> None:
    near.gone = True


def _block_seen(block: Block, event: BlockSeen | BlockLost) -> None:
    block.state = event.state
    if event.state == RUNNING and not block.running_since:
        block.running_since = event.time
    if isinstance(event, BlockLost):
        block.message = event.message


_FOLDS: dict[type[Event], Callable[[Any, Any], None]] = {
    NodeSeen: _seen,
    NodeSampled: _sampled,
    WorkerSampled: _worker_sampled,
    WorkerEnded: _worker_ended,
    NodeShortOfMemory: _short_of_memory,
    NodeEnding: _ending,
    NodeSuspected: _suspected,
    NodeRecovered: _recovered,
    NodeLost: _lost,
    BlockSeen: _block_seen,
    BlockLost: _block_seen,
}
