"""Where a pool of executors puts a try: a pure function of what is believed of its members.

Unlike `parsl_diaspora.recovery.placement.choose` it has no draw of Parsl's to respect: a pool is there to be
spread over. What speaks against a member comes first, then where the data are, free slots, and queues.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from parsl_diaspora.recovery.placement import SHARPNESS, Candidate, Choice

MARGIN = 1.2  # times the time that a function usually takes, which a block must have left
CROWDED = 2.0  # tries a worker from which on the place near the data is no longer worth the wait
NOBODY_THERE = 3.0  # tries a worker, elsewhere, that are as bad as a member that has no managers now

_Test = Callable[[Candidate], bool]
_Words = Callable[[Candidate], str]


def place(
    candidates: Sequence[Candidate], *, seconds: float = 0.0, chance: random.Random | None = None
) -> Choice:
    """Where a try goes.

    Args:
        candidates: the members.
        seconds: that the function usually takes; 0 if that is not known.
        chance: source of the draws among members that are as good as each other.

    Returns:
        The choice; with an empty label where no member takes tasks.

    Example:
        >>> full = Candidate(label="alder", load=1.0)
        >>> idle = Candidate(label="birch", slots=2)
        >>> place([full, idle])
        Choice(label='birch', rule='free-slots', why='2 slots are free there')
        >>> place([full, Candidate(label="birch", slots=2, lack="module 'torch'")]).why
        "the shortest queue, with 1.0 tries a worker; not birch: it lacks module 'torch'"
    """
    draw = chance or random.Random()
    fit, against, held_against = _fit(candidates, seconds)
    if not fit:
        return Choice("", "none-usable", against)
    near = [each for each in fit if each.near and each.load < CROWDED]
    chosen, rule, why = _best(near or fit, draw)
    if near and len(near) < len(fit):
        rule, why = "near-the-data", f"its data are there, and {why}"
    if held_against:
        rule = "least-bad"
    return Choice(chosen.label, rule, f"{why}; {against}" if against else why)


def _fit(candidates: Sequence[Candidate], seconds: float) -> tuple[list[Candidate], str, bool]:
    """Those with the least against them, what speaks against others, and whether all have something."""
    fit, against, all_have = [each for each in candidates if each.usable], [], False
    against += [f"not {each.label}: it takes no tasks" for each in candidates if not each.usable]
    for is_good, words in _tests(seconds):
        good = [each for each in fit if is_good(each)]
        bad = [each for each in fit if not is_good(each)]
        if good:
            against += [f"not {each.label}: {words(each)}" for each in bad]
            fit = good
        elif bad:
            all_have = True
            against += [f"{each.label}, too: {words(each)}" for each in bad]
    return fit, "; ".join(against), all_have


def _tests(seconds: float) -> tuple[tuple[_Test, _Words], ...]:
    """What may speak against a member, the gravest first."""
    needed = seconds * MARGIN
    ends = f"its last block ends in {{:.0f}} s, and the task takes about {seconds:.0f} s"
    return (
        (lambda each: not each.lack, lambda each: f"it lacks {each.lack}"),
        (lambda each: not each.rests, lambda each: each.rests),
        (lambda each: each.left >= needed, lambda each: ends.format(each.left)),
    )


def _best(fit: Sequence[Candidate], draw: random.Random) -> tuple[Candidate, str, str]:
    free = [each for each in fit if each.slots > 0 and each.has_managers]
    if free:
        weights = [_fares(each) * each.slots for each in free]
        chosen = draw.choices(free, weights=weights)[0]
        slots = f"{chosen.slots} slots are free" if chosen.slots > 1 else "a slot is free"
        return chosen, "free-slots", f"{slots} there{_repute(chosen, fit)}"
    least = min(_cost(each) for each in fit)
    chosen = draw.choice([each for each in fit if _cost(each) <= least])
    return chosen, "shortest-queue", f"{_queue(chosen)}{_repute(chosen, fit)}"


def _fares(each: Candidate) -> float:
    return float(max(1e-9, each.chance) ** SHARPNESS)


def _cost(each: Candidate) -> float:
    return (1.0 + each.load + (0.0 if each.has_managers else NOBODY_THERE)) / _fares(each)


def _queue(chosen: Candidate) -> str:
    if not chosen.has_managers:
        return "no worker is there yet, but others have longer queues"
    return f"the shortest queue, with {chosen.load:.1f} tries a worker"


def _repute(chosen: Candidate, fit: Sequence[Candidate]) -> str:
    """Worth a word only where members differ."""
    chances = [each.chance for each in fit]
    if max(chances) - min(chances) < 0.05:  # noqa: PLR2004 - by chance
        return ""
    return f", and of its tries about {chosen.chance:.0%} succeed there"
