"""Which member of a pool gets a piece of work: what is believed of members, put together with their load."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from parsl.data_provider.files import File

from parsl_diaspora.executors.pool.advice import Advice
from parsl_diaspora.executors.pool.member import Member
from parsl_diaspora.executors.pool.work import Work
from parsl_diaspora.recovery.placement import Candidate, Choice
from parsl_diaspora.recovery.pool_placement import place
from parsl_diaspora.scaling.durations import Durations


class Placer:
    """Chooses members, and says why.

    Args:
        members: by label.
        sites: by label, where they differ from the labels.
        durations: how long functions take.
        chance: source of draws.
    """

    def __init__(
        self,
        members: Mapping[str, Member],
        sites: Mapping[str, str],
        durations: Durations,
        chance: random.Random | None = None,
    ) -> None:
        self._members = members
        self._sites = sites
        self._durations = durations
        self._chance = chance or random.Random()

    def choose(self, work: Work, believed: list[Candidate], advice: Advice) -> Choice:
        """Where a piece of work goes; an empty label if no member takes tasks.

        Args:
            work: to be placed.
            believed: of the members that it may go to.
            advice: of the run, on time and workers.
        """
        near = self._near(work)
        candidates = [self._with_load(each, work, near, advice) for each in believed]
        return place(candidates, seconds=self._durations.usual(work.key), chance=self._chance)

    def _with_load(self, believed: Candidate, work: Work, near: set[str], advice: Advice) -> Candidate:
        member, told = self._members[believed.label], advice.workers(believed.label)
        slots, outstanding = member.slots if told is None else told, member.outstanding
        return msgspec.structs.replace(
            believed,
            usable=believed.usable and member.is_usable,
            lack=believed.lack or member.refuses(work.specification),
            has_managers=believed.has_managers and slots != 0,
            load=outstanding / max(1, slots or 1),
            slots=max(0, slots - outstanding) if slots is not None else int(not outstanding),
            near=self.site(believed.label) in near or believed.label in near,
            left=member.seconds_left(advice.clock.monotonic()),
        )

    def site(self, label: str) -> str:
        """Of a member."""
        return self._sites.get(label, label)

    def _near(self, work: Work) -> set[str]:
        """Sites where a piece of work has its data, as its author or its files say."""
        named = {work.options.near} if work.options.near else set()
        return named | {file.netloc for file in _files(work.args, work.kwargs) if file.netloc}


def _files(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[File]:
    inputs = kwargs.get("inputs")
    for value in (*args, *kwargs.values(), *(inputs if isinstance(inputs, list | tuple) else ())):
        if isinstance(value, File):
            yield value
