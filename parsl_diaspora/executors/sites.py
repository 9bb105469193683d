"""Parsl's executors as the places where the pool controller gets its blocks from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from parsl.jobs.states import JobState

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import Event, PlaceHeld
from parsl_diaspora.executors.mixin import Hardening
from parsl_diaspora.executors.walltime import walltime_seconds
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.providers.holes import Holes
from parsl_diaspora.providers.walltimes import text_of
from parsl_diaspora.scaling.counts import executor_of
from parsl_diaspora.scaling.sites import OWNER, Granted, Hole, Offer, Refused, Whereabouts, site_of

NEVER = float("inf")
FIRST_BLOCKS = 30.0  # seconds after which Parsl is not waited for
NOT_READY = 1.0  # seconds after which an executor that starts, or is mended, is looked at again


class ExecutorSites:
    """Implements `parsl_diaspora.scaling.sites.Sites`.

    Args:
        spec: of the pool.
        executors: hardened ones, by label.
        say: publishes an event of the run.
        clock: time.
    """

    def __init__(
        self,
        spec: PoolSpec,
        executors: Mapping[str, Hardening],
        say: Callable[[Event], object],
        clock: Clock,
    ) -> None:
        self._holes = Holes(clock)
        self._clock = clock
        self._since: dict[str, float] = {}
        self._spec = spec
        self._executors = executors
        self._say = say

    def offers(self) -> Mapping[str, Offer]:
        """What each site can be asked for now."""
        return dict(self._offers())

    def _offers(self) -> Iterator[tuple[str, Offer]]:
        for site in self._spec.sites:
            executor = self._executors.get(executor_of(site))
            if executor is not None and executor.provider is not None:
                opens_in, why = self._first_blocks(executor) or _opening(executor, site)
                yield (
                    site,
                    Offer(
                        executor=executor.label,
                        blocks=len(executor.active_blocks),
                        nodes_per_block=executor.provider.nodes_per_block,
                        workers_per_node=_workers(executor),
                        opens_in=opens_in,
                        why=why,
                        holes=self._free(executor.provider, site) if not opens_in else (),
                    ),
                )

    def _first_blocks(self, executor: Hardening) -> tuple[float, str] | None:
        """Parsl asks for the first blocks by itself, soon after the start."""
        now, provider = self._clock.monotonic(), executor.provider
        since = self._since.setdefault(executor.label, now)
        if provider is None or now - since > FIRST_BLOCKS:
            return None
        if len(executor.status_facade) >= provider.init_blocks:
            return None
        return NOT_READY, "its first blocks have not been asked for yet"

    def _free(self, provider: Any, site: str) -> tuple[Hole, ...]:
        found = self._holes.of(getattr(provider, "members", {}).get(_member(site), provider))
        return (Hole(found.nodes, found.seconds),) if found is not None else ()

    def whereabouts(self, executor: str, job: str) -> Whereabouts:
        """The site and walltime of a block that the executor has asked for itself."""
        found = self._executors.get(executor)
        walltime = _walltime(found.provider, job) if found is not None else None
        return Whereabouts(site_of(self._spec, executor, job), walltime)

    def request(self, site: str, *, walltime: float | None) -> Granted:
        """Ask for one block.

        Raises:
            Refused: the executor or its provider gave none.
        """
        executor = self._executors[executor_of(site)]
        before = set(executor.status_facade)
        with _directed(executor.provider, site, walltime):
            blocks = executor.scale_out_facade(1)
        if blocks:
            job = executor.blocks_to_job_id.get(blocks[0], "")
            return Granted(str(blocks[0]), _walltime(executor.provider, job))
        raise Refused(_refusal(executor, before) or "The executor started no block.")

    def drain(self, executor: str, block: str, reason: str) -> None:
        """Give a block no new work; the interchange knows within half a second."""
        self._say(PlaceHeld(executor=executor, block=block, drain=True, reason=reason, owner=OWNER))

    def release(self, executor: str, block: str, reason: str) -> None:
        """Give a block back.

        Raises:
            Refused: the interchange says that it holds tasks.
        """
        found = self._executors[executor]
        held = [each for each in found.connected_managers() if each["block_id"] == block and each["tasks"]]
        if held:
            raise Refused(f"It holds {sum(int(each['tasks']) for each in held)} tasks.")
        found.give_back([block], reason)


def known_sites(executors: Mapping[str, Any]) -> list[str]:
    """The sites that a pool may name: executors that have a provider, and members of pool providers.

    Args:
        executors: by label.
    """
    names = []
    for label, executor in executors.items():
        provider = getattr(executor, "provider", None)
        if provider is not None:
            names += [label, *(f"{label}/{member}" for member in getattr(provider, "members", ()))]
    return names


def _opening(executor: Hardening, site: str) -> tuple[float, str]:
    """Seconds until a site may be asked, and why not now."""
    if executor.bad_state_is_set:
        return NEVER, f"executor {executor.label} was given up: {executor.executor_exception}"
    if not (executor.has_started and executor.reachable):
        return NOT_READY, f"executor {executor.label} has no interchange now"
    provider: Any = executor.provider
    if len(executor.active_blocks) >= provider.max_blocks:
        return NEVER, f"its provider may have {provider.max_blocks} blocks (max_blocks), and has them"
    can_submit = getattr(provider, "can_submit", None)
    if can_submit is None:
        return 0.0, ""
    seconds = float(can_submit(_member(site)))
    return seconds, f"its provider takes a submission in {seconds:.0f} s" if seconds else ""


def _workers(executor: Hardening) -> int:
    workers = executor.workers_per_node
    return int(workers) if math.isfinite(workers) else 0


def _member(site: str) -> str | None:
    return site.partition("/")[2] or None


def _directed(provider: Any, site: str, walltime: float | None) -> AbstractContextManager[Any]:
    """What the next submission asks for, where the provider can be told."""
    if (directed := getattr(provider, "directed", None)) is None:
        return nullcontext()
    made: AbstractContextManager[Any] = directed(
        _member(site), walltime=None if walltime is None else text_of(60 * math.ceil(walltime / 60))
    )
    return made


def _walltime(provider: Any, job: object) -> float | None:
    """Seconds that a job may run, as far as its provider tells."""
    if (walltime_of := getattr(provider, "walltime_of", None)) is not None:
        return float(found) if (found := walltime_of(job)) is not None else None
    return walltime_seconds(getattr(provider, "walltime", None))


def _refusal(executor: Hardening, before: set[str]) -> str:
    """What the newest failed block has said."""
    failed = [
        status.message
        for block, status in executor.status_facade.items()
        if block not in before and status.state == JobState.FAILED
    ]
    return " ".join((failed[-1] or "").split()) if failed else ""
