"""What a task asks for in words that pools of executors understand, whether their members do or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.state.offers import NOTHING_KNOWN, Offer

#: In Parsl's resource specification. Members that do not take such a word are not given it.
WORDS = frozenset({"gpus", "memory", "packages"})
MEGABYTE = 1_000_000


class Wants(msgspec.Struct, frozen=True):
    """What a place must have.

    Attributes:
        gpus: accelerators.
        memory: bytes.
        packages: names, as pip lists them.

    Example:
        >>> wants = wants_of({"gpus": 1, "memory": 500, "packages": ["torch"], "priority": 3})
        >>> wants.lacking(Offer(memory=64_000_000_000, gpus=2, packages=frozenset({"torch"})))
        ''
        >>> wants.lacking(Offer(memory=64_000_000_000, packages=frozenset({"torch"})))
        'GPUs: it has 0 of 1'
        >>> wants.lacking(NOTHING_KNOWN)
        ''
    """

    gpus: int = 0
    memory: int = 0
    packages: tuple[str, ...] = ()

    def lacking(self, offer: Offer) -> str:
        """What an offer is known to lack, in words; empty if it lacks nothing, or nobody has told."""
        if offer == NOTHING_KNOWN:
            return ""
        if self.gpus > offer.gpus:
            return f"GPUs: it has {offer.gpus} of {self.gpus}"
        if offer.memory and self.memory > offer.memory:
            return "memory"
        missing = [name for name in self.packages if offer.packages and name not in offer.packages]
        return f"package {missing[0]!r}" if missing else ""


NO_WANTS = Wants()


def wants_of(specification: Mapping[str, Any]) -> Wants:
    """What a resource specification asks for in our words: ``gpus``, ``memory`` in MB, ``packages``.

    Raises:
        ConfigurationError: a number is none, or the packages are no list of names.
    """
    if WORDS.isdisjoint(specification):
        return NO_WANTS
    packages = specification.get("packages") or ()
    numbers = {name: specification.get(name) or 0 for name in ("gpus", "memory")}
    fits = isinstance(packages, list | tuple) and all(isinstance(name, str) for name in packages)
    if not fits or not all(isinstance(number, int | float) and number >= 0 for number in numbers.values()):
        hint = "As in {'gpus': 1, 'memory': 4000, 'packages': ['torch']}; memory is in MB."
        raise ConfigurationError(f"A pool does not understand {dict(specification)!r}.", hint=hint)
    names = tuple(name.replace("_", "-").lower() for name in packages)
    return Wants(gpus=int(numbers["gpus"]), memory=int(numbers["memory"] * MEGABYTE), packages=names)


def without_our_words(specification: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of a resource specification for members that do not take our words.

    Example:
        >>> without_our_words({"gpus": 1, "priority": 3})
        {'priority': 3}
    """
    return {name: value for name, value in specification.items() if name not in WORDS}
