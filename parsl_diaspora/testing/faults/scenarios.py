"""The faults: what runs, what is struck, and what the program waits for afterwards."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec

from parsl_diaspora.testing.faults.apps import BLACK_HOLE, climb, measure
from parsl_diaspora.testing.faults.stage import Stage

Futures = list[Future[Any]]

LONG_TASK = "long-task"

PAUSE = 8.0  # seconds for which a node is stopped
SEEN = 2.0  # seconds in which it is seen to be back
LONG = 10.0  # seconds of a task that saves its state
STRUCK_AT = 0.8  # part of it that is done then
TASK = 5.0  # seconds of a task that is struck: on a busy host it must still be running then


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One fault.

    Attributes:
        name: short, for options.
        title: for tables.
        target: what a program may expect, in words.
        play: brings it about; gives the futures to wait for. None if the submit process itself is killed.
    """

    name: str
    title: str
    target: str
    play: Callable[[Stage], Futures] | None = None


def _busy_worker(stage: Stage) -> Futures:
    stage.load(retries=3)
    futures, workers = stage.start(1, TASK)
    stage.strike(workers)
    return futures


def _idle_worker(stage: Stage) -> Futures:
    stage.load(workers=1)
    stage.start(1, 0.0)[0][0].result()
    time.sleep(0.5)  # it waits for work again, and holds the lock of the task queue
    stage.strike([stage.tries()[-1][1]])
    return _further(stage)


def _manager(stage: Stage) -> Futures:
    stage.load(blocks=2)
    futures, workers = stage.start(2, TASK)
    stage.strike([stage.manager_of(workers[0])])
    return futures


def _node(stage: Stage) -> Futures:
    stage.load(blocks=2)
    futures, workers = stage.start(2, TASK)
    stage.strike(stage.block_of(workers[0]))
    return futures


def _paused_node(stage: Stage) -> Futures:
    stage.load(blocks=2)
    futures, workers = stage.start(2, TASK)
    victims = stage.block_of(workers[0])
    stage.strike(victims, signal.SIGSTOP)
    time.sleep(PAUSE)
    stage.strike(victims, signal.SIGCONT)
    time.sleep(SEEN)
    return futures


def _interchange_killed(stage: Stage) -> Futures:
    stage.load()
    futures, _ = stage.start(2, TASK)
    stage.strike([stage.interchange()])
    return [*futures, *_further(stage)]


def _interchange_stopped(stage: Stage) -> Futures:
    stage.load()
    futures, _ = stage.start(2, TASK)
    stage.strike([stage.interchange()], signal.SIGSTOP)
    return [*futures, *_further(stage)]


def _only_block(stage: Stage) -> Futures:
    stage.load(strategy="simple")
    futures, workers = stage.start(2, TASK)
    stage.strike(stage.block_of(workers[0]))
    return futures


def _long_task(stage: Stage) -> Futures:
    stage.load(retries=3)
    future = climb(LONG, str(stage.begun))
    stage.strike(stage.workers_after(LONG * STRUCK_AT))
    return [future]


def _black_hole(stage: Stage) -> Futures:
    first = stage.directory / "first_block"
    stage.load(blocks=2, more=f"mkdir {first} 2>/dev/null && export {BLACK_HOLE}=1 || true")
    stage.struck = time.time()
    return [measure(number, 0.5) for number in range(100)]


def _further(stage: Stage) -> Futures:
    """A task that is submitted after the fault."""
    from parsl_diaspora.testing.faults.apps import hold

    return [hold(0.0, str(stage.begun))]


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            name="busy-worker",
            title="worker killed while busy",
            target="noticed in 1 s, done on another",
            play=_busy_worker,
        ),
        Scenario(
            name="idle-worker",
            title="worker killed while idle",
            target="the pool goes on or is replaced",
            play=_idle_worker,
        ),
        Scenario(
            name="manager",
            title="one of two managers killed",
            target="noticed in 5 s, done on the other",
            play=_manager,
        ),
        Scenario(
            name="node",
            title="one of two nodes killed",
            target="noticed in 5 s, done on the other",
            play=_node,
        ),
        Scenario(
            name="paused-node",
            title=f"one of two nodes paused for {PAUSE:.0f} s",
            target="suspect, then trusted again; nothing lost",
            play=_paused_node,
        ),
        Scenario(
            name="interchange-killed",
            title="interchange killed",
            target="decided in 15 s",
            play=_interchange_killed,
        ),
        Scenario(
            name="interchange-stopped",
            title="interchange frozen",
            target="decided in 30 s",
            play=_interchange_stopped,
        ),
        Scenario(
            name="only-block",
            title="the only block killed",
            target="done on a new block",
            play=_only_block,
        ),
        Scenario(
            name="black-hole",
            title="one of two nodes fails all tasks at once",
            target="all done, under 10 tries lost",
            play=_black_hole,
        ),
        Scenario(
            name=LONG_TASK,
            title=f"a task of {LONG:.0f} s killed near its end",
            target=f"goes on from its state, in {LONG * (1 - STRUCK_AT) + 1:.0f} s",
            play=_long_task,
        ),
        Scenario(
            name="program",
            title="submit process killed",
            target="nothing left after 30 s",
        ),
    )
}

#: Those of the project's reference table, in its order.
SIX = ("black-hole", "interchange-killed", "only-block", "manager", "busy-worker", "program")
