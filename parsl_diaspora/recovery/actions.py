"""What each action needs to be possible, and what it means for the next try."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable

from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.recovery.language.rules import Delay, Do, Resize, Wait
from parsl_diaspora.recovery.situation import Situation
from parsl_diaspora.settings import Settings
from parsl_diaspora.sizes import parse_bytes, size_words

MOST_DOUBLINGS = 64
LONGEST_DELAY = 86_400.0
WORKER, NODE, BLOCK = "worker:", "node:", "block:"
FILE, EXECUTOR, MANAGER, FABRIC = "file:", "executor:", "manager:", "fabric"

_TIMES = re.compile(r"(peak\s+)?x\s*(\d+(?:\.\d+)?)")


# --- whether it can be carried out ---


def why_impossible(do: Do, situation: Situation) -> str:
    """Why an action cannot be carried out here; empty if it can."""
    if not do.tries:
        return ""
    why = _IMPOSSIBLE[do.action](do, situation) if do.action in _IMPOSSIBLE else ""
    if not why and do.action == "here" and do.resize is not None:
        why = _resize_impossible(do.resize, situation)
    if not why and do.wait is not None:
        why = _wait_impossible(do.wait, situation)
    return why


def targets(do: Do, situation: Situation) -> list[str]:
    """Executors that an action may send the task to, the best first."""
    labels = situation.other_sites if do.action == "other site" else situation.other_executors
    needed = memory(do.resize, situation) or 0
    return [
        label
        for label in labels
        if (not do.to or label in do.to) and situation.room.get(label, math.inf) >= needed
    ]


def _no_target(do: Do, situation: Situation) -> str:
    if targets(do, situation):
        return ""
    if situation.bound:
        return situation.bound
    if do.to and not set(do.to).intersection(situation.other_executors):
        return f"{', '.join(do.to)} cannot be used for this app now"
    labels = situation.other_sites if do.action == "other site" else situation.other_executors
    if not labels:
        other = "executor of another site" if do.action == "other site" else "other executor"
        return f"no {other} is usable for this app"
    return f"no other executor has nodes with {size_words(memory(do.resize, situation) or 0)}"


def _no_other(level: str) -> Callable[[Do, Situation], str]:
    """Why no other place of a level can be chosen: a worker is known by its manager, too."""
    needed = ("worker", "manager") if level == "worker" else (level,)

    def why(do: Do, situation: Situation) -> str:
        if any(getattr(situation, name) is None for name in needed):
            return f"it is not known which {level} it was"
        return "" if getattr(situation, f"other_{level}") else f"no other {level} is there at this executor"

    return why


_IMPOSSIBLE: dict[str, Callable[[Do, Situation], str]] = {
    "other worker": _no_other("worker"),
    "other manager": _no_other("manager"),
    "other node": _no_other("node"),
    "other block": _no_other("block"),
    "other executor": _no_target,
    "other site": _no_target,
}


def _resize_impossible(resize: Resize, situation: Situation) -> str:
    size = memory(resize, situation)
    if size is None:
        return "nothing tells how much memory it had"
    had = situation.asked_memory
    if had is not None and size <= had:
        most = resize.most or size_words(size)
        return f"it asks for {size_words(had)} already, and may have no more than {most}"
    room = situation.room.get(situation.executor, math.inf)
    return f"no node here has {size_words(size)}" if size > room else ""


def _wait_impossible(wait: Wait, situation: Situation) -> str:
    name = wait_condition(wait, situation).partition(":")[2]
    return "" if name or wait.condition == FABRIC else f"it is not known what {wait.condition!r} is here"


# --- what it means for the next try ---


def avoided(do: Do, situation: Situation) -> tuple[str, ...]:
    """Places that the next try declines."""
    if do.action not in _AVOIDED:
        return situation.avoid if do.tries and do.action == "here" else ()
    return (*situation.avoid, _AVOIDED[do.action](situation))


_AVOIDED: dict[str, Callable[[Situation], str]] = {
    "other worker": lambda s: f"{WORKER}{s.manager}/{s.worker}",
    "other manager": lambda s: s.manager or "",
    "other node": lambda s: f"{NODE}{s.node}",
    "other block": lambda s: f"{BLOCK}{s.block}",
}


def memory(resize: Resize | None, situation: Situation) -> int | None:
    """Bytes that the next try needs; what the task asks for already, where nothing changes that."""
    if resize is None:
        return situation.asked_memory
    size = _size(resize.memory, situation)
    if size is None:
        return situation.asked_memory
    return min(size, parse_bytes(resize.most)) if resize.most else size


def _size(wanted: str, situation: Situation) -> int | None:
    if (times := _TIMES.fullmatch(wanted.strip())) is None:
        return parse_bytes(wanted)
    peak = situation.memory_peak
    base = peak if times[1] else situation.asked_memory or peak
    return int(base * float(times[2])) if base else None


def check_memory(wanted: str) -> None:
    """Refuse what is no amount of memory.

    Raises:
        ValueError: it is neither an amount nor a multiple that grows.
    """
    times = _TIMES.fullmatch(wanted.strip())
    if times is None:
        parse_bytes(wanted)
    elif not 1 < float(times[2]) <= MOST_DOUBLINGS:
        raise ValueError(f"{wanted!r} does not grow by a factor over 1 and up to {MOST_DOUBLINGS}.")


def wait_condition(wait: Wait, situation: Situation) -> str:
    """The condition with its names filled in; without a name where that is not known."""
    return wait.condition.format(
        file=situation.failure.filename, place=situation.executor, manager=situation.manager or ""
    )


def seconds_before(do: Do, situation: Situation, settings: Settings) -> float:
    """Seconds before the next try: as the rule says, and not less than the app asked for."""
    asked = situation.failure.retry_after or 0.0
    own = _grown(do.delay, situation, settings) if do.delay is not None else 0.0
    longest = max(asked, own)
    return min(longest, LONGEST_DELAY) if longest > 0 else 0.0  # not a number is none, either


def _grown(delay: Delay, situation: Situation, settings: Settings) -> float:
    own = is_infrastructure(situation.diagnosis.failure_class)
    failures = situation.infrastructure_failures if own else situation.used
    at_once = delay.at_once_if_lost and situation.executor_usable
    growths = failures - (2 if at_once else 1)
    if growths < 0 and at_once:
        return 0.0
    first = settings.retry_delay if delay.seconds is None else delay.seconds
    most = settings.retry_delay_max if delay.most is None else delay.most
    if delay.seconds is not None and delay.most is None:
        most = max(most, delay.seconds)
    grown = first * delay.factor ** min(max(0, growths), MOST_DOUBLINGS)
    return min(grown, most) * (1 - delay.jitter * chance(situation.id))


def chance(seed: str) -> float:
    """A number from 0 to 1 that looks like chance, and is the same for the same event.

    So the same log and the same policy give the same decisions.

    Example:
        >>> chance("a-1") == chance("a-1"), 0 <= chance("a-2") < 1
        (True, True)
    """
    return int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=6).digest(), "big") / 2**48
