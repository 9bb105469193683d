"""What is known about a failed try beyond its exception, put together from the picture in O(1)."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from parsl_diaspora.events import TryFailed
from parsl_diaspora.executors.walltime import walltime_seconds
from parsl_diaspora.failures import Context
from parsl_diaspora.state import Picture, TryState
from parsl_diaspora.state.surroundings import Block

OUT_OF_MEMORY_WITHIN = 5.0  # seconds between the end of a worker and the word that memory had run out
_TASK = itemgetter(1)  # of (time, task, failure class)


def context_of(picture: Picture, failed: TryFailed, executor: Any, now: float) -> Context:
    """The facts about the place and the time of a failure.

    Args:
        picture: of the run.
        failed: the try, with its place.
        executor: Parsl's executor where it was.
        now: seconds UTC.
    """
    near = picture.surroundings.of(failed.manager)
    block = picture.surroundings.block(failed.executor, failed.block)
    manager = picture.managers.get(failed.manager or "")
    return Context(
        memory_peak=failed.memory or near.last_memory(failed.worker),
        memory_limit=near.memory_limit,
        memory_free=near.memory_free,
        memory_growth=near.growth(failed.worker),
        out_of_memory=now - near.out_of_memory_at < OUT_OF_MEMORY_WITHIN,
        address_space=near.address_space,
        walltime_left=walltime_left(block, executor, now, failed.block),
        block_state=block.state,
        node_ending=near.ending,
        node_gone=near.gone,
        node_silent=max(0.0, now - near.silent_since) if near.silent_since else 0.0,
        manager_ended=manager.ended if manager is not None else "",
        failures_there=len(set(map(_TASK, tuple(manager.failures)))) if manager is not None else 0,
        successes_there=manager.succeeded if manager is not None else 0,
        batch_words=picture.surroundings.refusal(failed.executor),
    )


def walltime_left(block: Block, executor: Any, now: float, name: str | None = None) -> float | None:
    """Seconds that a block has left, where its provider declares a walltime and it was seen to run.

    Args:
        block: what is known of it.
        executor: Parsl's executor that it is part of.
        now: seconds UTC.
        name: the block's id, for providers that give each block its own walltime.
    """
    provider = getattr(executor, "provider", None)
    seconds: float | None
    if (walltime_of := getattr(provider, "walltime_of", None)) is not None:
        seconds = walltime_of(getattr(executor, "blocks_to_job_id", {}).get(name))
    else:
        seconds = walltime_seconds(getattr(provider, "walltime", None))
    if seconds is None or not block.running_since:
        return None
    return block.running_since + seconds - now


def is_healthy(picture: Picture, state: TryState) -> bool:
    """Whether the place of a try may bear witness against a task: not one that is in doubt itself."""
    manager = picture.managers.get(state.manager or "")
    if manager is None:
        return True
    return not (manager.suspected or picture.quarantined.on(state.manager or "", manager))
