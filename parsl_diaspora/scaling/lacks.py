"""Deficits over time: each is said when it begins, when its cause changes, and when it is healed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from parsl_diaspora.events import Event, PoolDeficitHealed, PoolDeficitSeen
from parsl_diaspora.scaling.counts import FOR_WORK, Deficit
from parsl_diaspora.scaling.planner import Plan

Expected = Callable[[tuple[str, ...], float], "float | None"]


class _Lack(msgspec.Struct):
    since: float
    because: str = ""
    most_had: int = 0


class Lacks:
    """What is lacking, and since when.

    Args:
        say: publishes an event.
    """

    def __init__(self, say: Callable[[Event], object]) -> None:
        self._say = say
        self._lacks: dict[tuple[str, str], _Lack] = {}

    def look(self, plan: Plan, now: float, expected: Expected) -> None:
        """Say what has changed.

        Args:
            plan: what is lacking, and what was done about it.
            now: seconds UTC.
            expected: seconds until a node of some sites should work.
        """
        asked = {request.site for request in plan.requests}
        for deficit in plan.deficits:
            obstacle = plan.obstacles.get(deficit.key, "")
            self._lacking(deficit, obstacle, asked, now, expected)
        gone = self._lacks.keys() - {deficit.key for deficit in plan.deficits}
        for key in sorted(gone):
            what, site = key
            healed = PoolDeficitHealed(what=what, seconds=now - self._lacks.pop(key).since)
            healed.site = site or None
            self._say(healed)

    def _lacking(
        self, deficit: Deficit, obstacle: str, asked: set[str], now: float, expected: Expected
    ) -> None:
        known = deficit.key in self._lacks
        lack = self._lacks.setdefault(deficit.key, _Lack(now))
        because = _because(deficit, obstacle, is_new=not known or bool(asked.intersection(deficit.helps)))
        if because == lack.because:
            return
        lack.because = because
        seen = PoolDeficitSeen(
            what=deficit.what,
            wanted=deficit.wanted,
            held=deficit.held,
            coming=deficit.coming,
            because=because,
            expected=expected(deficit.helps, now),
            message=_message(deficit, because, obstacle),
        )
        seen.site = deficit.site or None
        self._say(seen)


def _because(deficit: Deficit, obstacle: str, *, is_new: bool) -> str:
    if obstacle:
        return "refused"
    if not is_new:
        return "queue waits"
    return "demand rose" if deficit.what == FOR_WORK else "supply fell"


def _message(deficit: Deficit, because: str, obstacle: str) -> str:
    if because == "refused":
        return f"Nothing more can be asked for now: {obstacle}."
    if because == "queue waits":
        return f"What was asked for has not come yet: {deficit.coming} on the way."
    return (
        f"{deficit.missing} were missing, and have been asked for."
        if deficit.missing
        else (f"{deficit.coming} are on the way.")
    )
