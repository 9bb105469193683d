"""Two pools: each task goes to one of them at random, so one try in two is on another pool than the last."""

from __future__ import annotations

from parsl.config import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider


def fresh_config() -> Config:
    """What the suite's own conftest asks of a configuration file."""
    return Config(executors=[_pool("alder"), _pool("birch")], strategy="none")


def _pool(label: str) -> HighThroughputExecutor:
    return HighThroughputExecutor(
        label=label,
        loopback_address="127.0.0.1",
        address="127.0.0.1",
        max_workers_per_node=2,
        encrypted=True,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
