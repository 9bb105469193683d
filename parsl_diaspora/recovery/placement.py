"""Where a try goes: a pure function of what is believed of the places that it may go to.

What a place is proven to lack comes first, then how well the function has fared there, then load. Places that
are as good as each other share the work.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

#: How much a failure says against the place rather than the function. Classes that are not named: `_LITTLE`.
#: What befell the infrastructure says nothing of whether a function fits.
WEIGHTS: dict[str, float] = {
    "missing_module": 4.0,
    "version_mismatch": 4.0,
    "memory": 4.0,
    "gpu": 2.0,
    "permission": 2.0,
    "missing_file": 1.0,
    "disk_full": 1.0,
    "limits": 1.0,
    "mpi": 1.0,
    "network": 0.5,
    "walltime": 0.5,
    "crash": 0.5,
    "signalled": 0.5,
    "unknown": 0.3,
    "cancelled": 0.0,
    "dependency": 0.0,
    "interrupted": 0.0,
    "serialization": 0.0,
    "submission": 0.0,
}
_LITTLE = 0.1

#: Classes that prove that a place lacks something, until a try succeeds there.
PROOFS = frozenset({"missing_module", "version_mismatch", "memory"})

YEARS = 10 * 365 * 86_400.0
SHARPNESS = 4.0  # a place with half the chance gets a sixteenth of the work
WORTH_A_MOVE = 2.0  # times better than where Parsl has put the task
ROOMY = 0.5  # part of the largest place's memory with which a place counts as roomy, too


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One executor that a try may go to.

    Attributes:
        label: of the executor.
        usable: it takes tasks.
        rests: why it gets no work for now, as in a quarantine.
        lack: what it is proven, or seen, to lack for this function, in words.
        chance: estimated share of the function's tries that succeed there.
        has_managers: it has managers now, so its load means something.
        load: tries outstanding, a worker.
        memory: bytes that a process may have there; 0 if that is not known.
        stale: seconds since the function was last tried there.
        slots: workers that would take a try at once; only pools of executors count them.
        near: the task's data are there.
        left: seconds until its last block ends; infinite where nobody says.
    """

    label: str
    usable: bool = True
    rests: str = ""
    lack: str = ""
    chance: float = 0.8
    has_managers: bool = True
    load: float = 0.0
    memory: int = 0
    stale: float = 0.0
    slots: int = 0
    near: bool = False
    left: float = float("inf")

    @property
    def free(self) -> bool:
        """A worker would take a try at once."""
        return self.has_managers and self.load < 1

    @property
    def weight(self) -> float:
        """How much of the work it should get."""
        return float(max(1e-9, self.chance) ** SHARPNESS) / (1.0 + self.load)


class Choice(msgspec.Struct, frozen=True):
    """Where a try goes, and why not to the place that Parsl has drawn.

    Attributes:
        label: of the executor.
        rule: name of what decided; empty where Parsl's own draw stands.
        why: in words.
    """

    label: str
    rule: str = ""
    why: str = ""


def weight_of(failure_class: str, *, infrastructure: bool) -> float:
    """How much a failure says against its place as a place for the function.

    Example:
        >>> weight_of("memory", infrastructure=False), weight_of("node_lost", infrastructure=True)
        (4.0, 0.0)
    """
    return WEIGHTS.get(failure_class, 0.0 if infrastructure else _LITTLE)


def best_first(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are of any use to the function: with managers, rested, and the likeliest first."""
    fit = [each for each in candidates if each.usable and not each.lack]
    return sorted(fit, key=lambda each: (not each.has_managers, bool(each.rests), -each.weight, each.label))


def choose(
    candidates: Sequence[Candidate],
    here: str,
    *,
    unmeasured: bool = False,
    explore_after: float = float("inf"),
    chance: random.Random | None = None,
) -> Choice:
    """Where a first try goes.

    Args:
        candidates: all executors that the app may use.
        here: what Parsl has drawn: it stands unless another one is clearly better.
        unmeasured: the function never succeeded anywhere, so nobody knows how much memory it needs.
        explore_after: seconds after which a place of poor repute, without a proof against it, is tried again.
        chance: source of the draws.

    Example:
        >>> cpu, gpu = Candidate(label="cpu", lack="module 'torch'"), Candidate(label="gpu")
        >>> choose([cpu, gpu], "cpu").label
        'gpu'
    """
    draw = chance or random.Random()
    drawn = next((each for each in candidates if each.label == here), None)
    fit = [each for each in candidates if each.usable and not each.lack and not each.rests]
    if not fit:
        return _least_bad(candidates, drawn, here)
    if drawn is None or drawn not in fit:
        return _instead(drawn, _drawn_by_weight([each for each in fit if each.has_managers] or fit, draw))
    if (old := _to_explore(fit, explore_after, draw)) is not None:
        return Choice(old.label, "explore", _untried(old.stale))
    if unmeasured and (roomy := _roomier(fit, drawn)) is not None:
        why = "it allows less memory, and nobody knows how much is needed"
        return Choice(roomy.label, "roomiest-first", why)
    return _better(fit, drawn, draw)


def _untried(seconds: float) -> str:
    never = seconds > YEARS  # what was never tried counts from the epoch
    return "nobody has tried it there yet" if never else f"nobody has tried it there for {seconds:.0f} s"


def _least_bad(candidates: Sequence[Candidate], drawn: Candidate | None, here: str) -> Choice:
    """Each place has something against it: one that rests is better than one that lacks something."""
    if drawn is not None and drawn.usable and not drawn.lack:
        return Choice(here)
    rested = [each for each in candidates if each.usable and not each.lack]
    usable = rested or ([each for each in candidates if each.usable] if drawn and not drawn.usable else [])
    if not usable:
        return Choice(here)
    return _instead(drawn, min(usable, key=lambda each: (each.load, each.label)))


def _instead(drawn: Candidate | None, target: Candidate) -> Choice:
    if drawn is None or not drawn.usable:
        return Choice(target.label, "executor-gone", "it takes no tasks")
    if drawn.lack:
        return Choice(target.label, "known-lack", f"it lacks {drawn.lack}")
    return Choice(target.label, "resting", drawn.rests)


def _to_explore(fit: Sequence[Candidate], explore_after: float, draw: random.Random) -> Candidate | None:
    """A place that has fallen out of use, at most one of many tasks."""
    best = max(each.weight for each in fit)
    old = [
        each for each in fit if each.stale > explore_after and each.free and each.weight * WORTH_A_MOVE < best
    ]
    return draw.choice(old) if old else None


def _roomier(fit: Sequence[Candidate], drawn: Candidate) -> Candidate | None:
    most = max(each.memory for each in fit)
    if not drawn.memory or drawn.memory >= most * ROOMY:
        return None
    roomy = [each for each in fit if each.memory >= most * ROOMY and each.free]
    return min(roomy, key=lambda each: (each.load, each.label), default=None)


def _better(fit: Sequence[Candidate], drawn: Candidate, draw: random.Random) -> Choice:
    """The better of two: the place that Parsl has drawn, and another one drawn by weight.

    That a place has no managers now is no reason to leave it: it would never get any where Parsl's scaling
    waits for tasks.
    """
    others = [each for each in fit if each is not drawn and each.has_managers]
    if not others:
        return Choice(drawn.label)
    other = _drawn_by_weight(others, draw)
    if other.chance**SHARPNESS > drawn.chance**SHARPNESS * WORTH_A_MOVE and other.weight > drawn.weight:
        return Choice(other.label, "fares-better", f"of its tries about {drawn.chance:.0%} succeed there")
    if drawn.has_managers and other.weight > drawn.weight * WORTH_A_MOVE:
        return Choice(other.label, "less-loaded", f"it has {drawn.load:.1f} tries a worker")
    return Choice(drawn.label)


def _drawn_by_weight(candidates: Sequence[Candidate], draw: random.Random) -> Candidate:
    return draw.choices(candidates, weights=[each.weight for each in candidates])[0]
