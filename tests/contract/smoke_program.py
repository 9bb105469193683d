"""A small program, made resilient: ``smoke_program.py DIRECTORY``. Prints what came of it, or fails."""

from __future__ import annotations

import os
import sys

import parsl
from parsl import Config, HighThroughputExecutor, python_app
from parsl.providers import LocalProvider

from parsl_diaspora import open_fabric, resilient
from parsl_diaspora.state import read_history


@python_app
def double(number):
    return 2 * number


@python_app
def flaky(path):
    with open(path, "a+") as file:
        file.write(".")
        file.seek(0)
        if len(file.read()) == 1:
            raise RuntimeError("not yet")
    return "at last"


@python_app
def die_once(path):
    import os
    import signal

    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


@python_app
def where():
    from parsl_diaspora import current_task

    return current_task().executor


def main(directory):
    first = 27_000 + os.getpid() % 40 * 50
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
                provider=LocalProvider(init_blocks=1, max_blocks=1),
            )
        ],
        run_dir=f"{directory}/runinfo",
        strategy_period=0.5,
    )
    url = f"file:{directory}/log"
    with parsl.load(resilient(config, fabric=url)):
        assert [future.result(timeout=60) for future in [double(n) for n in range(8)]] == [
            0,
            2,
            4,
            6,
            8,
            10,
            12,
            14,
        ]
        assert flaky(f"{directory}/calls").result(timeout=60) == "at last"
        assert die_once(f"{directory}/deaths").result(timeout=60) == "alive"
        assert where().result(timeout=60) == "alder"
    picture = read_history(open_fabric(url)).find("last")
    assert picture.counts["done"] == 11, picture.counts
    assert picture.ended is not None
    assert picture.ended.faults == {}, picture.ended.faults
    (manager,) = picture.managers.values()
    assert manager.started == picture.counts["tries"], (manager, picture.counts)
    print(
        f"Parsl {parsl.__version__}: {picture.counts['done']} tasks done in {picture.counts['tries']} tries"
    )


if __name__ == "__main__":
    main(sys.argv[1])
