"""Evidence that comes after the decision changes it, as long as the next try has not begun."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora import resilience
from parsl_diaspora.events import (
    BlockLost,
    DecisionMade,
    Diagnosis,
    DiagnosisRevised,
    ManagerEnded,
    NodeEnding,
    NodeLost,
    NodeShortOfMemory,
    TryStarted,
    WorkerEnded,
)
from parsl_diaspora.executors.errors import WorkerDied
from parsl_diaspora.monitoring.holds import OWNER
from parsl_diaspora.recovery.placement import WEIGHTS
from tests.monitoring.fakes import Program
from tests.waiting import becomes


class BatchError(Exception):
    """Of a kind that no rule knows."""


WORKER, MANAGER = WorkerLost(3, "n1"), ManagerLost(b"m1", "n1")
PLACE = {"executor": "alder", "block": "0", "manager": "m1", "node": "n1"}


@pytest.fixture
def program(tmp_path):
    made = []

    def make(*labels, **arguments):
        made.append(Program(tmp_path, *labels, whole=True, **{"grace": 0.5, **arguments}))
        made[-1].session.begin(made[-1].run_id)
        return made[-1]

    yield make
    for each in made:
        each.memoizer.close()


def decisions(made):
    return made.said(DecisionMade)


def say(made, event, **fields):
    for name, value in fields.items():
        setattr(event, name, value)
    return made.session.live.say(event)


def lose(made, error=WORKER, task=None, try_id=0):
    """A task is lost at worker 3 of manager m1."""
    task = task or made.task()
    made.launch(task)
    say(made, TryStarted(task=task["id"], try_id=try_id, worker=3, pid=7, **PLACE))
    assert made.fail(task, error)
    return task


def short_of_memory(**fields):
    return NodeShortOfMemory(counts={"oom_kill": 1}, used=7, limit=8, **{**PLACE, **fields})


def died(task, exit_code=-9, **fields):
    return WorkerEnded(task=task["id"], try_id=0, worker=3, pid=7, exit_code=exit_code, **PLACE, **fields)


def test_a_report_of_an_oom_kill_makes_a_lost_worker_a_matter_of_memory(program):
    made = program("alder", "birch")
    task = lose(made)
    told = say(made, short_of_memory())
    assert becomes(lambda: len(decisions(made)) == 2)
    first, second = decisions(made)
    assert (first.diagnosis.failure_class, first.action) == ("worker_lost", "retry")
    assert (second.diagnosis.failure_class, second.action, second.target) == ("memory", "move", "birch")
    assert second.revises == first.id
    assert told.id in second.cause
    assert becomes(lambda: made.relaunched == [task["id"]])
    assert task["executor"] == "birch"


def test_a_failure_that_is_seen_anew_is_charged_once(program):
    made = program("alder", "birch")
    task = lose(made)
    assert made.picture.tasks[task["id"]].spent == {"worker_lost": 1}
    assert made.picture.managers["m1"].failed == {"worker_lost": 1}
    say(made, short_of_memory())
    assert becomes(lambda: len(decisions(made)) == 2)
    assert made.picture.tasks[task["id"]].spent == {"memory": 1}
    manager = made.picture.managers["m1"]
    assert {name: count for name, count in manager.failed.items() if count} == {"memory": 1}
    assert [failure_class for _, _, failure_class in manager.failures] == ["memory"]
    assert [failure_class for _, _, failure_class in made.picture.nodes["n1"].failures] == ["memory"]


@pytest.mark.parametrize(
    ("fields", "failure_class"),
    [
        ({"exit_code": -9, "out_of_memory": True}, "memory"),
        ({"exit_code": -11}, "crash"),
        ({"exit_code": -6}, "crash"),
    ],
)
def test_the_exit_code_of_a_lost_worker_tells_why(program, fields, failure_class):
    made = program("alder", "birch")
    task = lose(made)
    say(made, died(task, **fields))
    assert becomes(lambda: len(decisions(made)) == 2)
    assert decisions(made)[-1].diagnosis.failure_class == failure_class


@pytest.mark.parametrize(
    ("event", "failure_class"),
    [
        (NodeEnding(reason="SIGTERM", **PLACE), "preempted"),
        (NodeLost(seconds=4.0, **PLACE), "node_lost"),
        (BlockLost(executor="alder", block="0", state="TIMEOUT"), "block_walltime"),
    ],
)
def test_the_end_of_a_node_or_block_tells_why_a_manager_was_lost(program, event, failure_class):
    made = program("alder", "birch")
    lose(made, MANAGER)
    say(made, event)
    assert becomes(lambda: len(decisions(made)) == 2)
    assert decisions(made)[-1].diagnosis.failure_class == failure_class


def test_a_later_diagnosis_by_the_sites_own_diagnoser_counts_as_long_as_the_task_is_parked(program):
    made = program("alder", "birch", retry_delay=60.0, retry_delay_max=60.0)
    made.session.second_opinion = SimpleNamespace(consider=lambda *_: None, close=lambda: None)
    task = lose(made, BatchError("step 17 of 20 came to no good end"))
    made.session.parked.delay_at_least(task, 60.0)
    full = Diagnosis(failure_class="disk_full", layer="runtime", confidence=0.9, rule="site")
    said = say(made, DiagnosisRevised(task=task["id"], try_id=0, diagnosis=full))
    assert becomes(lambda: len(decisions(made)) == 2)
    first, second = decisions(made)
    assert (second.diagnosis, second.revises) == (full, first.id)
    assert said.id in second.cause


def test_a_failure_that_is_seen_anew_counts_once_against_its_place(program):
    made = program("alder", "birch", retry_delay=60.0, retry_delay_max=60.0)
    made.session.second_opinion = SimpleNamespace(consider=lambda *_: None, close=lambda: None)
    routing = made.session.routing
    task = lose(made, BatchError("step 17 of 20 came to no good end"))
    func = routing.identity(task["func"])

    def belief():
        return routing.places.of(func, "executor:alder")

    assert belief().tries == 1
    full = Diagnosis(failure_class="disk_full", layer="runtime", confidence=0.9, rule="site")
    made.session.parked.delay_at_least(task, 60.0)
    say(made, DiagnosisRevised(task=task["id"], try_id=0, diagnosis=full))
    assert becomes(
        lambda: len(decisions(made)) == 2 and routing.places.of(func, "executor:alder").bad >= 0.99
    )
    belief = routing.places.of(func, "executor:alder")
    assert belief.tries == 1
    assert belief.bad == pytest.approx(WEIGHTS["disk_full"], rel=0.01)


@pytest.mark.parametrize("do", ["hold", {"substitute": 7}], ids=["hold", "substitute"])
def test_what_is_decided_anew_may_be_no_further_try(program, do):
    rules = [{"name": "own", "when": {"class": "memory"}, "do": do, "reason": "too large"}]
    made = program("alder", "birch", policy={"rules": rules})
    task = lose(made)
    say(made, short_of_memory())
    assert becomes(lambda: len(decisions(made)) == 2)
    assert decisions(made)[-1].rule == "own"
    made.clock.advance(10)
    if do == "hold":
        assert [held.task for held in made.picture.held] == [task["id"]]
        assert made.session.parked.entry_of(task["id"]).state == "held"
        assert not task["depends"][-1].done()
    else:
        assert becomes(lambda: made.relaunched == [task["id"]])
        assert made.launch(task).result() == 7


def test_the_next_try_waits_for_evidence_and_no_longer(program):
    made = program("alder", "birch")
    task = lose(made)
    made.clock.advance(0.4)
    assert made.relaunched == []
    made.clock.advance(0.2)
    assert made.relaunched == [task["id"]]
    say(made, short_of_memory())
    assert not becomes_soon(lambda: len(decisions(made)) > 1)


def becomes_soon(condition):
    time.sleep(0.1)
    return condition()


def test_evidence_that_came_just_before_the_failure_counts(program):
    made = program("alder", "birch")
    task = made.task()
    made.launch(task)
    say(made, TryStarted(task=task["id"], try_id=0, worker=3, pid=7, **PLACE))
    say(made, short_of_memory())
    assert made.fail(task, WORKER)
    assert [each.diagnosis.failure_class for each in decisions(made)] == ["memory"]


def test_evidence_of_long_ago_does_not_count(program):
    made = program("alder", "birch")
    say(made, short_of_memory())
    made.clock.advance(60)
    lose(made)
    assert not becomes_soon(lambda: len(decisions(made)) > 1)


@pytest.mark.parametrize(
    "event",
    [
        short_of_memory(manager="m2"),
        short_of_memory(manager=None, node="n2"),
        NodeShortOfMemory(counts={"high": 3}, **PLACE),
        WorkerEnded(worker=2, pid=8, exit_code=-9, out_of_memory=True, **PLACE),
        WorkerEnded(task=99, try_id=0, worker=3, exit_code=-9, out_of_memory=True, **PLACE),
        WorkerEnded(worker=3, pid=7, **PLACE),
        BlockLost(executor="alder", block="1", state="TIMEOUT"),
        ManagerEnded(reason="ended", **{**PLACE, "manager": "m2"}),
    ],
    ids=lambda event: f"{event.kind}-{event.manager}-{event.worker}",
)
def test_what_is_about_something_else_or_tells_nothing_changes_nothing(program, event):
    made = program("alder", "birch")
    lose(made)
    say(made, event)
    assert not becomes_soon(lambda: len(decisions(made)) > 1)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("the app's own"),
        MemoryError(),
        WorkerDied("it died", worker_id=3, hostname="n1", manager="m1", exit_code=-15),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_the_cause_is_known_nobody_waits(program, error):
    made = program("alder", "birch")
    lose(made, error)
    assert made.session.unexplained._open == {}


def test_where_a_supervisor_has_told_of_its_managers_end_nobody_waits(program):
    made = program("alder", "birch")
    task = made.task()
    made.launch(task)
    say(made, TryStarted(task=task["id"], try_id=0, worker=3, pid=7, **PLACE))
    say(made, ManagerEnded(reason="SIGKILL", **PLACE))
    assert made.fail(task, MANAGER)
    assert made.session.unexplained._open == {}


def test_without_grace_nobody_waits(program):
    made = program("alder", "birch", grace=0)
    task = lose(made)
    assert made.session.parked.entry_of(task["id"]) is None


def test_what_somebody_holds_meanwhile_stays_held(program):
    made = program("alder", "birch")
    task = lose(made)
    assert made.session.parked.hold_back(task, "let me see", OWNER)
    say(made, short_of_memory())
    assert not becomes_soon(lambda: len(decisions(made)) > 1)
    made.clock.advance(10)
    assert made.relaunched == []


def test_late_evidence_may_end_a_task(program):
    @resilience(retries={"memory": 0})
    def greedy():
        return 1

    made = program("alder", "birch")
    ended = []
    task = lose(made, task=made.task(func=greedy))
    made.session.parked._ends.end_soon = lambda task, words: ended.append(task["id"])
    say(made, died(task, out_of_memory=True))
    assert becomes(lambda: ended == [task["id"]])
    assert decisions(made)[-1].action == "fail"
    assert isinstance(made.session.parked._ends.last_error(task, ""), WorkerDied)
    made.clock.advance(10)
    assert made.relaunched == []


def test_a_fault_of_ours_while_deciding_anew_lets_the_next_try_begin(program, monkeypatch):
    from parsl_diaspora.monitoring.deciding import retries

    made = program("alder", "birch")
    task = lose(made)
    monkeypatch.setattr(retries, "choose", lambda *_, **__: 1 / 0)
    say(made, short_of_memory())
    assert becomes(lambda: made.session.live.faults.get("late evidence") == 1)
    made.clock.advance(1.0)
    assert made.relaunched == [task["id"]]
