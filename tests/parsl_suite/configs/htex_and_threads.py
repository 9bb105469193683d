"""A pool and threads of the program: executors of two kinds, of which only one is of the hardened kind."""

from __future__ import annotations

from parsl.config import Config
from parsl.executors import HighThroughputExecutor, ThreadPoolExecutor
from parsl.providers import LocalProvider


def fresh_config() -> Config:
    """What the suite's own conftest asks of a configuration file."""
    pool = HighThroughputExecutor(
        label="pool",
        loopback_address="127.0.0.1",
        address="127.0.0.1",
        max_workers_per_node=2,
        encrypted=True,
        provider=LocalProvider(init_blocks=1, max_blocks=1),
    )
    return Config(executors=[pool, ThreadPoolExecutor(label="threads", max_threads=2)], strategy="none")
