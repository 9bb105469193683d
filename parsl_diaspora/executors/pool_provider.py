"""What an executor and a pool provider have to tell each other.

All of this does nothing with any other provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider

from parsl_diaspora.events import Event
from parsl_diaspora.providers import ResilientPoolProvider
from parsl_diaspora.state import Live
from parsl_diaspora.state.quarantined import NODE

_FAILED = (JobState.FAILED, JobState.MISSING)


class Served(Protocol):
    """What has to be known of an executor whose blocks come from a pool."""

    label: str

    @property
    def blocks_to_job_id(self) -> Mapping[str, Any]:
        """The provider's ids of its blocks."""
        ...

    @property
    def provider(self) -> Any:
        """Where its blocks come from."""
        ...

    @property
    def known_managers(self) -> Sequence[Mapping[str, Any]]:
        """Managers as they were last listed."""
        ...


class HasBlocks(Protocol):
    """What has to be known of an executor to tell why it has no blocks."""

    @property
    def provider(self) -> Any:
        """Where its blocks come from."""
        ...

    @property
    def status_facade(self) -> Mapping[str, JobStatus]:
        """Its blocks, as they were asked for."""
        ...


def connect(executor: Served, run: str, live: Live) -> None:
    """Let a pool say its events in this run, name its jobs after it, and know which blocks have managers."""
    pool = executor.provider
    if not isinstance(pool, ResilientPoolProvider):
        return

    def say(event: Event) -> None:
        event.executor = executor.label
        live.say(event)

    pool.say, pool.run_id = say, run
    pool.serving = lambda: serving_jobs(executor)


def serving_jobs(executor: Served) -> set[str]:
    """Ids of jobs whose blocks have managers."""
    blocks = {str(each["block_id"]) for each in executor.known_managers}
    return {str(job) for block, job in dict(executor.blocks_to_job_id).items() if block in blocks}


def is_local(provider: Any) -> bool:
    """Whether its blocks run on this host."""
    if isinstance(provider, ResilientPoolProvider):
        return all(is_local(each) for each in provider.members.values())
    return isinstance(provider, LocalProvider)


def room(provider: Any, wanted: int) -> int:
    """How many of these blocks may be asked for at this moment."""
    if isinstance(provider, ResilientPoolProvider):
        return max(0, min(wanted, provider.room()))
    return wanted


def rounds(provider: Any, failures: int) -> int:
    """Rounds of blocks that may fail to start before nobody believes in them any more."""
    if isinstance(provider, ResilientPoolProvider):
        return failures * len(provider.members)
    return failures


def is_tolerant(provider: Any) -> bool:
    """Whether its own breakers see to blocks that it cannot get."""
    return isinstance(provider, ResilientPoolProvider)


def why_no_blocks(executor: HasBlocks) -> str:
    """What schedulers have said of an executor's blocks, in words; empty if they have said nothing."""
    provider = executor.provider
    if not isinstance(provider, ResilientPoolProvider):
        return _last_words(executor.status_facade)
    known = {
        each.member: "; ".join(filter(None, (each.why, each.words))) for each in provider.health().values()
    }
    return ". ".join(f"Member {name}: {words}" for name, words in known.items() if words)


def _last_words(blocks: Mapping[str, JobStatus]) -> str:
    """What was said of the newest block that failed."""
    failed = [each.message for each in blocks.values() if each.state in _FAILED and each.message]
    return f"The newest block: {' '.join(failed[-1].split())}" if failed else ""


class Exclusions:
    """Hands on which hosts later blocks shall not get: nodes in quarantine, and nodes that somebody holds.

    Args:
        executor: whose blocks they are.
        live: of the run.
    """

    def __init__(self, executor: Served, live: Live) -> None:
        self._executor = executor
        self._live = live
        self._told: frozenset[str] = frozenset()

    def look(self) -> None:
        """Tell the pool if that has changed."""
        pool = self._executor.provider
        if not isinstance(pool, ResilientPoolProvider):
            return
        picture, label = self._live.picture, self._executor.label
        resting = {name for level, name in list(picture.quarantined.reasons) if level == NODE}
        held = {each.name for each in picture.holds if each.level == NODE and each.executor in ("", label)}
        if (hosts := frozenset(resting | held)) != self._told:
            self._told = hosts
            pool.exclude(hosts)
