"""Which member is asked for a block, in which order, and what is said when none gives one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import NamedTuple

from parsl_diaspora.errors import NoMemberAvailable
from parsl_diaspora.providers.member import Member

#: What speaks against a member; the first in the list is asked first where all is equal.
ORDERS: dict[str, Callable[[Member], tuple[float, ...]]] = {
    "health": lambda each: (each.standing.troubles, each.pending, len(each.active)),
    "spread": lambda each: (len(each.active),),
    "listed": lambda _: (),
}


def ranked(members: Iterable[Member], order: str) -> list[Member]:
    """Members in the order in which they are asked: one that has rested first, one that is silent last."""
    against = ORDERS[order]
    return sorted(members, key=lambda each: (not each.standing.wants_trial, each.is_silent, *against(each)))


class Wish(NamedTuple):
    """What a submission asks for.

    Attributes:
        member: that it shall go to; None for any.
        walltime: of the block; None as otherwise.
        nodes: of the block; None as otherwise.
    """

    member: str | None = None
    walltime: str | None = None
    nodes: int | None = None


class Wishes(threading.local):
    """What the next submissions of each thread ask for: Parsl's way to a provider has no place for it."""

    now = Wish()

    @contextmanager
    def wishing(self, wish: Wish) -> Iterator[None]:
        """Within it this thread's submissions ask for that."""
        before, self.now = self.now, wish
        try:
            yield
        finally:
            self.now = before


def none_available(reasons: Mapping[str, str], rejected: Sequence[str], wait: float) -> NoMemberAvailable:
    """What is raised when no member gives a block.

    Args:
        reasons: why each does not.
        rejected: members whose schedulers were asked just now.
        wait: seconds until one may be asked again.
    """
    listed = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    again = f" One may be asked again in {wait:.0f} s." if isfinite(wait) else ""
    return NoMemberAvailable(
        f"No member of the pool takes a block now. {listed}.{again}",
        reasons=dict(reasons),
        rejected=tuple(rejected),
        wait=wait,
        hint="Do what the scheduler asks for; provider.health() tells how each member is doing.",
    )
