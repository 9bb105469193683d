"""The program under the kills, an ordinary Parsl program: ``python -m tests.soak.campaign PLAN.json``.

It never has more than a window of tasks outstanding, as a campaign that feeds a search. What became of each
it writes as a line to ``outcomes``, so that whoever kills knows how far it is; what it holds in the end, to
``end.json``.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import random
import sys
import threading
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path

import parsl
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora import resilient
from parsl_diaspora.testing.processes import worker_init
from tests.soak import apps
from tests.waiting import becomes

ROOT = Path(__file__).parents[2]


def pool(label: str, mark: str, first_port: int) -> HighThroughputExecutor:
    provider = LocalProvider(
        init_blocks=2,
        min_blocks=2,
        max_blocks=2,
        worker_init=worker_init(mark, label, {"PYTHONPATH": str(ROOT)}),
    )
    return HighThroughputExecutor(
        label=label,
        address="127.0.0.1",
        encrypted=True,
        provider=provider,
        max_workers_per_node=3,
        cores_per_worker=0.01,
        worker_port_range=(first_port, first_port + 40),
        interchange_port_range=(first_port + 40, first_port + 100),
    )


def ours() -> Counter[str]:
    """How many objects of this package's classes there are."""
    gc.collect()
    return Counter(
        type(one).__qualname__
        for one in gc.get_objects()
        if str(type(one).__module__).startswith("parsl_diaspora")
    )


def threads_after(seconds: float) -> list[str]:
    """This package's threads that are still there by then; the one that syncs files is the process's own."""

    def left() -> list[str]:
        names = [each.name for each in threading.enumerate()]
        return [name for name in names if name.startswith("diaspora") and name != "diaspora-syncer"]

    becomes(lambda: not left(), seconds)
    return left()


def run(plan: dict, outcomes: Path) -> dict:
    dice = random.Random(plan["seed"])
    files = Path(plan["directory"]) / "files"
    files.mkdir()
    earlier, running, held = {}, {}, []
    with outcomes.open("w", buffering=1) as out:

        def settle(*, left: int) -> None:
            while len(running) > left:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running.pop(future)
                    out.write(json.dumps([number, apps.judge(number, future, files)]) + "\n")

        for number in range(plan["tasks"]):
            future = apps.submit(number, round(dice.uniform(*plan["seconds"]), 2), files, earlier)
            earlier[number], running[future] = future, number
            earlier.pop(number - 12, None)
            settle(left=plan["window"] - 1)
            if number == plan["tasks"] // 2:
                held.append(ours())
        settle(left=0)
    earlier.clear()
    held.append(ours())
    return {"held": held}


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    directory, port = Path(plan["directory"]), plan["port"]
    logging.basicConfig(
        level=logging.WARNING, filename=directory / "warnings.log", format="%(name)s %(message)s"
    )
    config = Config(
        executors=[pool("alder", plan["mark"], port), pool("birch", plan["mark"], port + 100)],
        run_dir=str(directory / "runinfo"),
        strategy="none",
        retries=2,
        initialize_logging=False,
    )
    end = {"before": len(os.listdir("/proc/self/fd"))}
    # By default an executor may lose three interchanges within ten minutes: here each loses ten.
    settings = {"fabric": plan["fabric"], "relay": "on", "interchange_restarts": 100}
    with parsl.load(resilient(config, **settings)) as kernel:
        end["run"] = kernel.run_id
        end |= run(plan, directory / "outcomes")
    end["threads"] = threads_after(20.0)
    end["after"] = len(os.listdir("/proc/self/fd"))
    (directory / "end.json").write_text(json.dumps(end))


if __name__ == "__main__":
    main()
