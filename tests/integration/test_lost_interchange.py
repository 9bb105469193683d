"""An interchange that is killed, frozen or dies while it is asked is replaced; every future has its end."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from parsl_diaspora.events import BlockLost, DecisionMade, InterchangeEnded, InterchangeStarted
from tests.integration import apps
from tests.integration.looking import LONG, failures, of, until


def load_busy(program, **settings):
    """A pool with tasks that run, tasks that wait at the interchange, and their futures."""
    kernel = program.load(program.pool("alder"), **settings)
    assert apps.spin(1, 0.0).result(timeout=LONG) == 1
    futures = [apps.spin(n, 0.5) for n in range(8)]
    time.sleep(0.7)
    return kernel.executors["alder"], futures


def check_recovered(program, futures, check_story):
    """All tasks have ended well, and the log tells of one replacement: when, and why."""
    assert [future.result(timeout=LONG) for future in futures] == [n * n for n in range(len(futures))]
    events = program.events()
    check_story(events)
    (ended,), (started,) = of(events, InterchangeEnded), of(events, InterchangeStarted)
    assert (started.number, started.executor) == (2, "alder")
    assert failures(events) == {"InterchangeLost"}
    assert {event.diagnosis.failure_class for event in of(events, DecisionMade)} == {"interchange_lost"}
    assert [event.expected for event in of(events, BlockLost) if event.block == "0"] == [True]
    assert program.shutdown.finished
    return ended


@pytest.mark.timeout(2 * LONG)
def test_an_interchange_that_is_killed_is_replaced_and_every_task_ends(program, check_story):
    executor, futures = load_busy(program)
    old, at = executor.interchange_proc, time.time()
    old.kill()
    futures += [apps.spin(n, 0.0) for n in range(8, 12)]  # nobody who submits meanwhile waits
    assert time.time() - at < 3
    ended = check_recovered(program, futures, check_story)
    assert ended.time - at < 15
    assert (ended.pid, ended.exit_code) == (old.pid, -signal.SIGKILL)
    assert ended.held >= 6


def check_frozen_is_replaced(program, check_story, within, **settings):
    executor, futures = load_busy(program, **settings)
    at = time.time()
    os.kill(executor.interchange_proc.pid, signal.SIGSTOP)
    futures += [apps.spin(n, 0.0) for n in range(8, 12)]
    ended = check_recovered(program, futures, check_story)
    assert ended.time - at < within
    assert "answered nothing" in ended.reason


@pytest.mark.timeout(2 * LONG)
def test_an_interchange_that_is_frozen_is_killed_and_replaced(program, check_story):
    check_frozen_is_replaced(program, check_story, within=10, interchange_silence=2)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_an_interchange_that_is_frozen_is_decided_upon_within_15_seconds_by_default(program, check_story):
    check_frozen_is_replaced(program, check_story, within=15)


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_who_asks_an_interchange_that_dies_before_it_answers_gets_what_was_last_known(program):
    executor = program.load(program.pool("alder"), interchange_silence=60).executors["alder"]
    assert apps.spin(1, 0.0).result(timeout=LONG) == 1
    (manager,) = executor.connected_managers()
    os.kill(executor.interchange_proc.pid, signal.SIGSTOP)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(executor.connected_managers()))
    began = time.monotonic()
    asking.start()
    time.sleep(0.5)
    executor.interchange_proc.kill()
    asking.join(10)
    assert time.monotonic() - began < 8
    assert [each["manager"] for each in answers[0]] in ([manager["manager"]], [])
    assert executor.connected_blocks() == ["0"]
    until(lambda: executor.connected_blocks() == ["0", "1"])
    assert manager["manager"] not in [each["manager"] for each in executor.connected_managers()]


def stop_it(process):
    os.kill(process.pid, signal.SIGSTOP)


@pytest.mark.timeout(2 * LONG)
@pytest.mark.parametrize("hit", [stop_it, lambda process: process.kill()], ids=["frozen", "dead"])
def test_a_program_whose_interchange_is_gone_ends_in_seconds_with_tasks_on_their_way(program, hit):
    executor, _ = load_busy(program)
    hit(executor.interchange_proc)
    program.close()
    assert program.shutdown.finished
    assert program.shutdown.seconds < 10


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_an_interchange_that_dies_again_and_again_ends_the_executor_with_the_reason(program):
    executor, futures = load_busy(program, interchange_restarts=0)
    executor.interchange_proc.kill()
    errors = [future.exception(timeout=LONG) for future in futures]
    assert executor.bad_state_is_set
    assert "had to be replaced" in str(executor.executor_exception)
    assert all(error is not None for error in errors[4:])
