"""The queues that a program's blocks may be in, by its providers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from parsl.providers import LocalProvider, SlurmProvider

from parsl_diaspora.clock import Clock
from parsl_diaspora.providers.local_jobs import LocalQueue
from parsl_diaspora.providers.queues import Queue, SlurmQueue


def queues_of(providers: Iterable[Any], clock: Clock | None = None) -> list[Queue]:
    """One for each scheduler of these providers that can be asked.

    Args:
        providers: of executors; those of pool providers' members are looked at, too.
        clock: the system's by default.

    Example:
        >>> [queue.scheduler for queue in queues_of([LocalProvider(), LocalProvider()])]
        ['local']
    """
    every = list(_each(providers))
    queues: list[Queue] = []
    if any(isinstance(each, SlurmProvider) for each in every) and all(map(shutil.which, SlurmQueue.commands)):
        queues.append(SlurmQueue())
    if any(isinstance(each, LocalProvider) for each in every):
        queues.append(LocalQueue(clock))
    return queues


def _each(providers: Iterable[Any]) -> Iterator[Any]:
    for provider in providers:
        yield from getattr(provider, "members", {}).values() or (provider,)
