"""The High Throughput Executor, hardened: same name, same arguments, same behaviour where nothing fails."""

from __future__ import annotations

from parsl_diaspora.executors.mixin import Hardening


class ResilientHighThroughputExecutor(Hardening):
    """Parsl's `HighThroughputExecutor` that cannot be ended by a message, loses no block for good, and tells.

    It takes the arguments of the stock executor. Used through `parsl_diaspora.resilient` it also publishes
    where each try ran, keeps managers in quarantine from getting tasks, and lets a try avoid a place.

    Example:
        >>> from parsl.config import Config
        >>> config = Config(executors=[ResilientHighThroughputExecutor(label="cpu")])
        >>> config.executors[0].label
        'cpu'
    """
