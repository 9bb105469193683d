"""Classes of failures that take a whole pool to come about: provoked for real, and told rightly."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from parsl.launchers.base import Launcher

from parsl_diaspora.events import DecisionMade
from parsl_diaspora.testing.processes import find
from tests.integration import apps
from tests.waiting import until

pytestmark = pytest.mark.slow


class Timed(Launcher):
    """A batch system that ends blocks at their walltime, all of their processes at once."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def __call__(self, command, *how_many):
        return f"timeout --signal=KILL {self.seconds} {command}"


def decided(events):
    return [each for each in events if isinstance(each, DecisionMade)]


def running(kernel):
    picture = kernel.memoizer.session.live.picture
    return sum(len(manager.running) for manager in picture.managers.values())


@pytest.mark.timeout(180)
def test_a_block_that_ends_at_its_walltime_is_told_from_a_lost_manager(program):
    pool = program.pool("alder", workers=1)
    pool.provider.launcher = Timed(14)
    pool.provider.walltime = "00:00:14"
    program.load(pool)
    future = apps.spin(3, 5.0)
    assert future.result(timeout=60) == 9
    late = apps.spin(4, 8.0)  # the block does not live as long; the next one does
    assert late.result(timeout=120) == 16
    decisions = decided(program.events())
    assert {each.diagnosis.failure_class for each in decisions} == {"block_walltime"}
    assert all(each.action in ("retry", "avoid", "move") for each in decisions)
    assert all("walltime was over" in each.diagnosis.evidence[0] for each in decisions)


@pytest.mark.timeout(180)
def test_a_node_that_falls_silent_while_its_block_runs_is_cut_off(program):
    pool = program.pool("alder", blocks=2, workers=1, heartbeat_period=1, heartbeat_threshold=6)
    kernel = program.load(pool)
    futures = [apps.spin(number, 4.0) for number in range(2)]
    until(lambda: running(kernel) == 2)
    stopped = [
        psutil.Process(each.pid)
        for each in find(program.mark)
        if "--block_id=0" in " ".join(psutil.Process(each.pid).cmdline())
    ]
    stopped += [child for each in stopped for child in each.children(recursive=True)]
    for process in stopped:  # no word gets out, and no connection is closed
        os.kill(process.pid, signal.SIGSTOP)
    try:
        assert [future.result(timeout=100) for future in futures] == [0, 1]
    finally:
        for process in stopped:
            if process.is_running():
                os.kill(process.pid, signal.SIGCONT)
    decisions = decided(program.events())
    assert {each.diagnosis.failure_class for each in decisions} == {"partition"}
    assert "silent" in decisions[0].diagnosis.evidence[0]


@pytest.mark.timeout(120)
def test_a_try_that_gives_way_to_an_order_is_tried_again(program):
    kernel = program.load(program.pool("alder", workers=1), retries={"application": 0})
    future = apps.spin(5, 3.0)
    until(lambda: running(kernel) == 1)
    picture = kernel.memoizer.session.live.picture
    manager = picture.last_try(0).manager
    until(lambda: kernel.memoizer.session.cancels._stops.is_supervised(manager))
    message = {"kind": "stop", "task": 0, "try": 0, "reason": "to make room", "grace": 5.0}
    kernel.executors["alder"].orders.give({"manager": manager}, message)
    assert future.result(timeout=60) == 25
    (decision,) = decided(program.events())
    assert (decision.diagnosis.failure_class, decision.diagnosis.rule) == ("stopped", "stopped")
    assert decision.action == "retry"


@pytest.mark.timeout(120)
def test_tasks_of_an_executor_that_is_given_up_move_to_another_one(program):
    kernel = program.load(program.pool("alder", workers=1), program.pool("birch", workers=1), move="any")
    futures = [apps.spin(number, 3.0) for number in range(4)]
    until(lambda: running(kernel) == 2)
    alder = kernel.executors["alder"]
    alder.set_bad_state_and_fail_all(RuntimeError("an operator has given it up"))
    assert [future.result(timeout=60) for future in futures] == [0, 1, 4, 9]
    decisions = decided(program.events())
    assert {each.diagnosis.failure_class for each in decisions} == {"executor_lost"}
    assert {(each.action, each.target) for each in decisions} == {("move", "birch")}
