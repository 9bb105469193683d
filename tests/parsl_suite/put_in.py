"""Puts ``resilient()`` into programs that load their own configurations, in the process of a test run only.

A user changes one line of a program. Parsl's tests are hundreds of programs that are not ours to change, so
that line is put in from outside: whatever configuration a test loads becomes ``resilient(configuration)``.
Many tests keep a hand on the executor that they have made, and look at it while it runs; those get ours
when they make it, as a program would that uses ``ResilientHighThroughputExecutor`` by its name.
"""

from __future__ import annotations

from collections.abc import Callable

import parsl
import parsl.executors
import parsl.executors.high_throughput.executor
import parsl.executors.high_throughput.mpi_executor
from parsl.config import Config
from parsl.dataflow.dflow import DataFlowKernel

from parsl_diaspora import resilient
from parsl_diaspora.executors import ResilientHighThroughputExecutor, ResilientMPIExecutor
from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer

_HOMES = {
    ResilientHighThroughputExecutor: (
        "HighThroughputExecutor",
        (parsl, parsl.executors, parsl.executors.high_throughput.executor),
    ),
    ResilientMPIExecutor: (
        "MPIExecutor",
        (parsl, parsl.executors, parsl.executors.high_throughput.mpi_executor),
    ),
}


def before_each_load(change: Callable[[Config], Config | None]) -> None:
    """Let a function see each configuration before Parsl does.

    Args:
        change: gives the configuration to load in its place, or None for the same. The last one that is
            given here is asked first.
    """
    load: Callable[..., None] = DataFlowKernel.__init__

    def init(self: DataFlowKernel, config: Config) -> None:
        changed = change(config) if isinstance(config, Config) else None
        load(self, changed or config)

    DataFlowKernel.__init__ = init  # type: ignore[method-assign]


def resilient_unless_it_is(config: Config) -> Config | None:
    """What the one line of a program would make of its configuration."""
    return None if isinstance(config.memoizer, LifecycleMemoizer) else resilient(config)


def put_executors_in() -> None:
    """Who imports Parsl's executors by their names from now on gets the hardened ones."""
    for ours, (name, homes) in _HOMES.items():
        for home in homes:
            setattr(home, name, ours)
