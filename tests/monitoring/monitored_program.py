"""A program with Parsl's own monitoring: ``monitored_program.py stock|resilient DIRECTORY FIRST_PORT``."""

from __future__ import annotations

import sys

import parsl
from parsl import Config, HighThroughputExecutor, python_app
from parsl.monitoring import MonitoringHub
from parsl.providers import LocalProvider


@python_app
def double(number):
    return 2 * number


@python_app
def fail():
    raise ValueError("always")


def main(kind, directory, first):
    config = Config(
        executors=[
            HighThroughputExecutor(
                label="alder",
                address="127.0.0.1",
                encrypted=True,
                worker_port_range=(first, first + 20),
                interchange_port_range=(first + 20, first + 50),
                heartbeat_period=1,
                heartbeat_threshold=8,
                max_workers_per_node=2,
                cores_per_worker=0.01,
                provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
            )
        ],
        monitoring=MonitoringHub(workflow_name="study", resource_monitoring_interval=0.0),
        retries=1,
        run_dir=f"{directory}/runinfo",
        strategy="none",
        strategy_period=0.5,
    )
    if kind == "resilient":
        from parsl_diaspora import resilient

        config = resilient(config, fabric=f"file:{directory}/log")
    with parsl.load(config):
        assert [future.result() for future in [double(n) for n in range(4)]] == [0, 2, 4, 6]
        assert isinstance(fail().exception(), ValueError)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
