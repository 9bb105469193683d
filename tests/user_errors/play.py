"""The program of `running_cases`: each part is played, and what was said is written to ``said.json``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import parsl
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora import resilient
from tests.user_errors.case import PRELUDE, Said, said_by, said_to
from tests.user_errors.neutral import neutral
from tests.user_errors.running_cases import ORDERS, STOCK, TASKS, Running

PATIENCE = 100.0


def main() -> None:
    """Play all parts."""
    here = Path.cwd().resolve()
    (here / "old" / "parsl_diaspora").mkdir(parents=True)
    (here / "old" / "parsl_diaspora" / "__init__.py").touch()
    said: dict[str, Said] = {}
    with parsl.load(_config(here)) as kernel:
        print(time.strftime("%X"), "loaded")
        futures = [(part, _begin(part, kernel)) for part in TASKS if not part.kills_interchange]
        said |= {part.code: said_to(part.code) for part in ORDERS}
        said |= {part.code: _end(future) for part, future in futures}
        for part in (part for part in TASKS if part.kills_interchange):
            said[part.code] = _end(_begin(part, kernel))
    parsl.clear()
    with parsl.load(Config(executors=[parsl.ThreadPoolExecutor()])):
        said |= {part.code: said_to(part.code) for part in STOCK}
    told = {code: asdict(_for_all(each, here)) for code, each in said.items()}
    (here / "said.json").write_text(json.dumps(told))


def _config(here: Path) -> Config:
    executors = [
        _executor("cpu", 1, workers=6),
        _executor("idle", 0),
        _executor("old", 1, worker_init=f"export PYTHONPATH={here / 'old'}"),
    ]
    stock = Config(executors=executors, strategy="none", strategy_period=0.5, exit_mode="cleanup")
    settings = {"max_tries": 1, "hold_timeout": 1.0, "block_wait": 1.0, "interchange_restarts": 0}
    return resilient(stock, relay="off", **settings)


def _executor(label: str, blocks: int, *, workers: int = 1, worker_init: str = "") -> HighThroughputExecutor:
    return HighThroughputExecutor(
        label=label,
        address="127.0.0.1",
        encrypted=True,
        cores_per_worker=0.01,
        max_workers_per_node=workers,
        provider=LocalProvider(
            init_blocks=blocks, min_blocks=blocks, max_blocks=blocks, worker_init=worker_init
        ),
    )


def _begin(part: Running, kernel: Any) -> Any:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, names)
    names["python_app"] = partial(parsl.python_app, executors=["cpu"])
    exec(part.code, names)
    future = names["future"] if "future" in names else names["app"]()
    if part.kills_interchange:
        _wait_until(lambda: _runs(kernel, future.tid))
        kernel.executors["cpu"].interchange_proc.kill()
    return future


def _runs(kernel: Any, number: int) -> bool:
    task = kernel.memoizer.session.live.picture.tasks.get(number)
    return task is not None and any(each.status == "running" for each in task.tries)


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def _end(future: Any) -> Said:
    said = said_by(future.exception(timeout=PATIENCE))
    print(time.strftime("%X"), said)  # shown if the program does not come to its end
    return said


def _for_all(said: Said, here: Path) -> Said:
    return Said(said.kind, neutral(said.message, here), neutral(said.hint, here))


if __name__ == "__main__":
    main()
