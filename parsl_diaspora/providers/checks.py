"""What a pool is given is looked at before anything runs: a wrong value is found now, not at night."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from parsl.providers.base import ExecutionProvider

from parsl_diaspora.errors import PoolError
from parsl_diaspora.hints import nearest
from parsl_diaspora.providers.schedulers import check_commands
from parsl_diaspora.providers.walltimes import seconds_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_members(members: Any) -> dict[str, ExecutionProvider]:
    """Members by name.

    Raises:
        PoolError: there is none, a name or a provider is none, or a scheduler's command is missing.
    """
    if not isinstance(members, Mapping) or not members:
        hint = "Give providers by name, as in members={'debug': SlurmProvider(partition='debug')}."
        raise PoolError("A pool provider has no members.", hint=hint)
    for name, provider in members.items():
        _check_name(name)
        if not isinstance(provider, ExecutionProvider):
            message = f"Member {name!r} of the pool is no provider of Parsl, but {_kind(provider)}."
            raise PoolError(message, hint="Give an instance, as SlurmProvider(...).")
        check_commands(name, provider)
        if isinstance(own := getattr(provider, "walltime", None), str):
            seconds_of(own, f"member {name!r}")
    _check_no_twins(members)
    return dict(members)


def _kind(thing: Any) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"a {type(thing).__name__}"


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"{name!r} is no name for a member of a pool."
        hint = "Letters, digits, '.', '_' and '-' make a name; '/' stands between the member and the job."
        raise PoolError(message, hint=hint)


def _check_no_twins(members: Mapping[str, ExecutionProvider]) -> None:
    seen: dict[int, str] = {}
    for name, provider in members.items():
        if id(provider) in seen:
            message = (
                f"Members {seen[id(provider)]!r} and {name!r} of the pool are one and the same provider."
            )
            raise PoolError(message, hint="Make one provider for each member.")
        seen[id(provider)] = name


def check_blocks(init_blocks: Any, min_blocks: Any, max_blocks: Any, parallelism: Any) -> None:
    """Refuse numbers of blocks that contradict each other.

    Raises:
        PoolError: they do.
    """
    numbers = {"init_blocks": init_blocks, "min_blocks": min_blocks, "max_blocks": max_blocks}
    for name, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise PoolError(f"{name} of a pool is a whole number from 0, not {value!r}.")
    for name in ("min_blocks", "init_blocks"):
        if numbers[name] > max_blocks:
            message = f"{name}={numbers[name]} is more than max_blocks={max_blocks}."
            raise PoolError(message, hint=f"Raise max_blocks, or lower {name}.")
    if not parallelism >= 0:
        raise PoolError(f"parallelism of a pool is a number from 0, not {parallelism!r}.")


def check_numbers(**values: Any) -> None:
    """Refuse times and counts that are none.

    Raises:
        PoolError: one is not above 0.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise PoolError(f"{name} of a pool is a number above 0, not {value!r}.")


def check_walltimes(walltimes: Sequence[str]) -> tuple[str, ...]:
    """Walltimes, each of which is one.

    Raises:
        PoolError: one is not.
    """
    for walltime in walltimes:
        seconds_of(walltime)
    return tuple(walltimes)


def check_known(what: str, name: str, known: Any) -> None:
    """Refuse a name that is none of these.

    Raises:
        PoolError: it is not.
    """
    if name not in known:
        raise PoolError(f"The pool has no {what} {name!r}.", hint=nearest(str(name), list(known)))


def common_nodes(members: Mapping[str, ExecutionProvider], nodes: int | None) -> int:
    """How many nodes a block has: as given, or as all members have it.

    Raises:
        PoolError: nothing is given, and the members differ.
    """
    if nodes is not None:
        check_numbers(nodes_per_block=nodes)
        return nodes
    found = {name: int(getattr(each, "nodes_per_block", 1)) for name, each in members.items()}
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in found.items())
        message = f"The members of the pool have blocks of different sizes, in nodes: {listed}."
        raise PoolError(message, hint="Say nodes_per_block for the pool: Parsl counts on equal blocks.")
    return next(iter(found.values()))


def common_least(members: Mapping[str, ExecutionProvider], name: str) -> Any:
    """What every node has at least of something; None where a member does not say."""
    found = [getattr(each, name, None) for each in members.values()]
    known = [each for each in found if each is not None]
    return min(known) if len(known) == len(found) else None
