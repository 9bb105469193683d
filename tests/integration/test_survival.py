"""Real kills under a real program: every task ends once, with its result, and every decision is explained."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import wait
from pathlib import Path

import pytest
from parsl.dataflow.errors import DependencyError

from parsl_diaspora.events import DecisionMade, FaultInjected, ManagerLost
from parsl_diaspora.testing.chaos import Chaos, Fault
from parsl_diaspora.testing.processes import find
from tests.integration import apps, plain_apps

SEED = int(os.environ.get("TEST_SEED", "20"))


def rules(events, task=None):
    return [e.rule for e in events if isinstance(e, DecisionMade) and task in (None, e.task)]


def classes(events):
    return {e.diagnosis.failure_class for e in events if isinstance(e, DecisionMade)}


def test_every_task_ends_once_while_busy_and_idle_workers_and_a_manager_are_killed(program, check_story):
    print(f"seed {SEED}")
    program.load(program.pool("alder", blocks=2), program.pool("birch"))
    assert apps.spin(2, 0.0).result(timeout=60) == 4
    plan = [
        Fault(kind="kill_idle_worker", at=0.0),
        *Chaos.plan(SEED, busy_workers=4, managers=1, window=(2.0, 8.0), min_gap=0.5),
    ]
    with Chaos(SEED, program.mark, plan, patience=8.0) as chaos:
        chaos.wait(timeout=0.3)
        futures = [apps.spin(number, 0.3) for number in range(80)]
        assert [future.result(timeout=100) for future in futures] == [n * n for n in range(80)]
    assert len([record for record in chaos.records if record.pid]) == 6

    events = program.events()
    check_story(events)
    history = program.history()
    picture = history.find("last")
    assert picture.counts["done"] == 81
    assert set(picture.outstanding.values()) == {0}
    assert history.dedupe.missing == 0
    assert {"worker_lost"} <= classes(events)
    assert program.shutdown.finished


@pytest.mark.slow
def test_a_manager_that_stalls_after_an_idle_kill_is_replaced(program, check_story):
    program.load(program.pool("alder", workers=1), stall_after=2.0)
    assert apps.spin(3, 0.0).result(timeout=60) == 9
    (worker,) = [each for each in find(program.mark) if each.role == "worker"]
    time.sleep(0.5)  # it waits for work again, and holds the lock of the task queue
    os.kill(worker.pid, signal.SIGKILL)
    time.sleep(1.5)  # the manager has put a new worker in its place

    assert [apps.spin(n, 0.0).result(timeout=60) for n in (4, 5)] == [16, 25]
    events = program.events()
    check_story(events)
    if "manager_lost" in classes(events):  # else the worker did not hold the lock at that moment
        assert any("stalled" in e.reason for e in events if isinstance(e, ManagerLost))


def test_a_task_whose_worker_dies_is_tried_again_without_spending_the_applications_budget(program, tmp_path):
    program.load(program.pool("alder"), retries={"application": 0})
    assert apps.die_until(str(tmp_path / "deaths"), 2).result(timeout=60) == 3
    assert rules(program.events()) == ["worker-lost-retry", "worker-lost-retry"]


@pytest.mark.slow
def test_tasks_of_an_executor_whose_interchange_is_killed_move_to_the_other(program, check_story):
    kernel = program.load(program.pool("alder"), program.pool("birch"))
    wait([apps.spin(n, 0.0) for n in range(4)], timeout=60)
    futures = [apps.spin(n, 0.4) for n in range(16)]
    time.sleep(0.5)
    kernel.executors["alder"].interchange_proc.kill()
    assert [future.result(timeout=60) for future in futures] == [n * n for n in range(16)]
    events = program.events()
    check_story(events)
    assert "executor-lost-move" in rules(events)
    assert program.shutdown.finished


@pytest.mark.slow
def test_a_lost_only_block_is_replaced_and_its_task_finishes(program, check_story):
    program.load(program.pool("alder"))
    apps.spin(1, 0.0).result(timeout=60)
    future = apps.spin(7, 3.0)
    time.sleep(1.0)
    (manager,) = [each for each in find(program.mark) if each.role == "manager"]
    os.kill(manager.pid, signal.SIGKILL)
    assert future.result(timeout=80) == 49
    events = program.events()
    check_story(events)
    assert "manager_lost" in classes(events)


def test_results_are_the_same_when_the_log_vanishes_in_mid_run(program):
    import shutil

    program.load(program.pool("alder"))
    apps.spin(1, 0.0).result(timeout=60)
    shutil.rmtree(program.directory / "log")
    (program.directory / "log").write_text("in the way")
    assert [apps.spin(n, 0.0).result(timeout=60) for n in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        apps.divide(0).result(timeout=60)
    program.close()


def test_workers_without_this_package_run_tasks_as_stock_does(program, tmp_path):
    stand_in = tmp_path / "stand_in"
    stand_in.mkdir()
    (stand_in / "parsl_diaspora.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'parsl_diaspora'\", name='parsl_diaspora')\n"
    )
    program.load(program.pool("alder", path=(stand_in,)))
    assert plain_apps.double(1).result(timeout=60) == 2
    assert plain_apps.double(3).result(timeout=60) == 6
    events = program.events()
    assert len([event for event in events if event.kind == "service.degraded"]) == 1


def test_a_child_of_a_failed_task_is_told_why(program):
    program.load(program.pool("alder"), retries={"application": 0})
    child = apps.add(apps.divide(0), 1)
    with pytest.raises(
        DependencyError, match=r"task 0 \(divide\) failed with ZeroDivisionError: division by zero"
    ):
        child.result(timeout=60)
    picture = program.history().find("last")
    assert picture.counts == {**picture.counts, "failed": 1, "dependency_failed": 1}
    assert "parsl-diaspora explain" in picture.tasks[1].error


def test_a_fault_can_be_injected_into_the_log(program):
    kernel = program.load(program.pool("alder"))
    apps.where().result(timeout=60)
    from parsl_diaspora import open_fabric

    speaker = open_fabric(program.url).publisher("test")
    speaker.publish(FaultInjected(run=kernel.run_id, fault="kill_worker", pid=1))
    speaker.close()
    assert [f.fault for f in program.history().find("last").faults] == ["kill_worker"]


def test_an_app_can_ask_where_it_runs(program):
    program.load(program.pool("alder"))
    assert apps.where().result(timeout=60) == ("alder", 0)
    assert Path(program.directory).exists()
