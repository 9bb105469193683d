"""What the controller asks of the places where blocks come from: Parsl's executors, or simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec

from parsl_diaspora.pool_settings import PoolSpec

#: Who holds a place that the controller drains.
OWNER = "the pool controller"


class Whereabouts(NamedTuple):
    """Where a block is, and how long it may run there.

    Attributes:
        site: its name.
        walltime: seconds; None if nobody knows.
    """

    site: str
    walltime: float | None = None


class Hole(msgspec.Struct, frozen=True):
    """A part of a site's queue that is free for a while: a block that fits starts at once.

    Attributes:
        nodes: that are free.
        seconds: for which they are; infinite if nobody waits for them.
    """

    nodes: int
    seconds: float = float("inf")


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a site can be asked for now.

    Attributes:
        executor: label of the executor whose blocks are there.
        nodes_per_block: nodes that come and go together.
        workers_per_node: tasks that a node runs at once; 0 if nobody knows yet.
        opens_in: seconds after which it may be asked; 0 for now, infinite for never.
        why: why it may not be asked now, in words; the scheduler's own where it has said any.
        holes: free parts of its queue, where the scheduler tells them.
        blocks: that the executor has, over all its sites: while events tell of fewer, nothing is asked.
    """

    executor: str
    blocks: int = 0
    nodes_per_block: int = 1
    workers_per_node: int = 0
    opens_in: float = 0.0
    why: str = ""
    holes: tuple[Hole, ...] = ()


class Granted(msgspec.Struct, frozen=True):
    """A block that was asked for and will come.

    Attributes:
        block: its id within the site's executor.
        walltime: seconds that it may run; None if nobody knows.
    """

    block: str
    walltime: float | None = None


class Refused(Exception):
    """A site gave no block.

    Attributes:
        message: the scheduler's own words.
        again: seconds after which it may be asked again.
    """

    def __init__(self, message: str, *, again: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.again = again


class Sites(Protocol):
    """Where blocks come from. A call may take as long as a batch system does: a thread of ours waits."""

    def offers(self) -> Mapping[str, Offer]:
        """What each site can be asked for now."""
        ...

    def whereabouts(self, executor: str, job: str) -> Whereabouts:
        """The site and walltime of a block that somebody else asked for.

        Args:
            executor: label.
            job: the id that its provider gave the block's job; empty if it has none.
        """
        ...

    def request(self, site: str, *, walltime: float | None) -> Granted:
        """Ask for one block, of the site's number of nodes.

        Args:
            site: where.
            walltime: seconds that it may run; None for what its provider is set to.

        Raises:
            Refused: there is none to be had.
        """
        ...

    def drain(self, executor: str, block: str, reason: str) -> None:
        """Give a block no new work."""
        ...

    def release(self, executor: str, block: str, reason: str) -> None:
        """Give a block back: what still runs there is lost."""
        ...


def site_of(spec: PoolSpec, executor: str, job: str) -> str:
    """The site of a block, by the job id that its provider gave it: ``member/job``, if it has members.

    Example:
        >>> from parsl_diaspora.pool_settings import SiteSpec
        >>> spec = PoolSpec(sites={"cpu/debug": SiteSpec(), "gpu": SiteSpec()})
        >>> site_of(spec, "cpu", "debug/4711"), site_of(spec, "gpu", "4712")
        ('cpu/debug', 'gpu')
    """
    member = f"{executor}/{job.partition('/')[0]}"
    return member if member in spec.sites else executor
