"""Real Parsl programs on real pools of this host, each gone without a trace after its test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import parsl
import pytest
from parsl import Config, HighThroughputExecutor
from parsl.providers import LocalProvider

from parsl_diaspora import open_fabric, resilient
from parsl_diaspora.events import DecisionMade, Event, TaskEnded, TryFailed
from parsl_diaspora.state import History, read_events, read_history
from parsl_diaspora.testing.emulated import EmulatedNode
from parsl_diaspora.testing.processes import find, worker_init
from parsl_diaspora.testing.shutdown import shut_down

ROOT = Path(__file__).parents[2]
#: Every block as a node of its own, with its own process ids and host name.
EMULATED = os.environ.get("PARSL_DIASPORA_TEST_NODES") == "emulated"
_ports = itertools.count(30_000 + os.getpid() % 40 * 100, 40)


class Program:
    """One Parsl program under test."""

    def __init__(self, mark: str, directory: Path) -> None:
        self.mark = mark
        self.directory = directory
        self.kernel: Any = None
        self.url = f"file:{directory / 'log'}"

    def pool(
        self, label: str, *, blocks: int = 1, workers: int = 2, path: tuple[Path, ...] = (), **arguments: Any
    ) -> HighThroughputExecutor:
        """A stock executor on this host whose processes carry the mark."""
        first = next(_ports)
        paths = os.pathsep.join([*map(str, path), str(ROOT)])
        provider = LocalProvider(
            init_blocks=blocks,
            min_blocks=blocks,
            max_blocks=blocks,
            worker_init=worker_init(self.mark, label, {"PYTHONPATH": paths}),
        )
        if EMULATED:
            provider.launcher = EmulatedNode(label, own_processes=True)
        arguments = {"heartbeat_period": 1, "heartbeat_threshold": 8, "provider": provider, **arguments}
        return HighThroughputExecutor(
            label=label,
            address="127.0.0.1",
            encrypted=True,
            worker_port_range=(first, first + 15),
            interchange_port_range=(first + 15, first + 40),
            max_workers_per_node=workers,
            cores_per_worker=0.01,
            **arguments,
        )

    def load(
        self, *executors: HighThroughputExecutor, config: dict[str, Any] | None = None, **settings: Any
    ) -> Any:
        """Load a resilient configuration with these executors."""
        stock = Config(
            executors=list(executors),
            run_dir=str(self.directory / "runinfo"),
            **{"strategy": "none", "strategy_period": 0.5, **(config or {})},
        )
        self.kernel = parsl.load(resilient(stock, **{"fabric": self.url, **settings}))
        return self.kernel

    def close(self) -> None:
        """End the program and all that it started."""
        if self.kernel is not None:
            kernel, self.kernel = self.kernel, None
            self.shutdown = shut_down(kernel, self.mark)
            assert not find(self.mark)

    def history(self) -> History:
        """What the log tells, after the program has ended."""
        self.close()
        return read_history(open_fabric(self.url))

    def events(self) -> list[Event]:
        """All events of the log, after the program has ended."""
        self.close()
        return list(read_events(open_fabric(self.url)))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A program to load and break."""
    made = Program(f"test-{os.getpid()}-{tmp_path.name}"[:60], tmp_path)
    yield made
    made.close()


@pytest.fixture
def check_story() -> Callable[[list[Event]], None]:
    """Each task ends once, and each failed try has its one decision."""

    def check(events: list[Event]) -> None:
        ended = [event.task for event in events if isinstance(event, TaskEnded)]
        assert len(ended) == len(set(ended)), "a task ended twice"
        failed = {event.id for event in events if isinstance(event, TryFailed)}
        decided = [
            cause
            for event in events
            if isinstance(event, DecisionMade) and not event.revises
            for cause in event.cause
        ]
        assert sorted(decided) == sorted(failed), "a failed try has no decision, or more than one"
        assert all(event.reason and event.rule for event in events if isinstance(event, DecisionMade))

    return check
