"""Parked tasks, on a virtual clock and with a fake kernel: delays, waits, holds, and values that stand in."""

from __future__ import annotations

import threading

from parsl_diaspora.events import DecisionMade, Diagnosis, ManagerSeen, TaskEnded, TaskHeld, TaskReleased
from tests.waiting import becomes

MEMORY = Diagnosis(failure_class="memory", layer="runtime")


def held(made, task, diagnosis=MEMORY, **fields):
    decision = DecisionMade(diagnosis=diagnosis, rule="hold-memory", reason="", action="hold", **fields)
    made.session.begin(made.run_id)
    made.session.parked.hold(task, decision)
    return made.session.parked.entry_of(task["id"])


# --- delays ---


def test_a_delayed_task_goes_on_when_its_time_has_come(program):
    made = program()
    task = made.task()
    made.session.parked.delay(task, 5.0)
    made.clock.advance(4.9)
    assert made.relaunched == []
    made.clock.advance(0.2)
    assert made.relaunched == [task["id"]]
    assert made.session.parked.entry_of(task["id"]) is None


def test_a_task_that_is_delayed_many_times_waits_for_one_gate(program):
    made = program()
    task = made.task(depends=["what it waited for"])
    for _ in range(50):
        made.session.parked.delay(task, 1.0)
        made.clock.advance(1.1)
    assert len(task["depends"]) == 2
    assert made.relaunched == [task["id"]] * 50


# --- waits ---


def test_a_task_waits_for_a_file(program, tmp_path):
    made = program()
    task = made.task()
    made.session.parked.wait(task, f"file:{tmp_path / 'ready'}", 3600.0)
    for _ in range(5):
        made.clock.advance(1.0)
    assert made.relaunched == []
    (tmp_path / "ready").touch()
    assert becomes(lambda: (made.clock.advance(1.0), made.relaunched)[1] == [task["id"]])


def test_a_task_waits_for_managers_of_an_executor(program):
    made = program("alder", "birch")
    task, other = made.task(), made.task()
    live = made.session.begin(made.run_id)
    made.session.parked.wait(task, "manager:birch", 3600.0)
    made.executors["birch"].bad_state_is_set = True
    made.session.parked.wait(other, "executor:birch", 3600.0)
    made.clock.advance(2.0)
    assert made.relaunched == []
    live.say(ManagerSeen(executor="birch", manager="m1", workers=2))
    assert becomes(lambda: (made.clock.advance(1.0), made.relaunched)[1] == [task["id"]])
    made.executors["birch"].bad_state_is_set = False
    assert becomes(lambda: (made.clock.advance(1.0), made.relaunched)[1] == [task["id"], other["id"]])


def test_many_tasks_that_wait_for_the_same_look_once(program, monkeypatch):
    made = program()
    looks = []
    monkeypatch.setattr("os.path.exists", lambda path: looks.append(path) or len(looks) > 3)
    tasks = [made.task() for _ in range(200)]
    for task in tasks:
        made.session.parked.wait(task, "file:/data/ready", 3600.0)
    assert becomes(lambda: (made.clock.advance(0.6), len(made.relaunched))[1] == 200)
    assert 4 <= looks.count("/data/ready") <= 10


def test_a_condition_that_cannot_be_looked_at_stops_no_other(program, tmp_path):
    made = program()
    task = made.task()
    made.session.begin(made.run_id)
    made.session.parked.wait(made.task(), "soon", 3600.0)
    (tmp_path / "ready").touch()
    made.session.parked.wait(task, f"file:{tmp_path / 'ready'}", 3600.0)
    assert becomes(lambda: (made.clock.advance(1.0), made.relaunched)[1] == [task["id"]])


def test_a_wait_in_vain_ends_as_the_policy_says(program):
    made = program()
    made.session.begin(made.run_id)
    retried, kept = made.task(), made.task()
    made.session.parked.wait(retried, "file:/no/such", 10.0)
    made.session.parked.wait(kept, "file:/no/such", 10.0, "hold")
    made.clock.advance(9.0)
    assert made.relaunched == []
    made.clock.advance(1.5)
    assert made.relaunched == [retried["id"]]
    (event,) = made.said(TaskHeld)
    assert (event.task, event.number) == (kept["id"], 9)
    assert "'file:/no/such' within 10 s" in event.reason


def test_a_condition_that_nobody_waits_for_any_more_is_not_looked_at(program, monkeypatch):
    made = program()
    made.session.begin(made.run_id)
    looks = []
    monkeypatch.setattr("os.path.exists", lambda path: bool(looks.append(path)))
    made.session.parked.wait(made.task(), "file:/no/such", 2.0)
    assert becomes(lambda: (made.clock.advance(0.6), len(made.relaunched))[1] == 1)
    assert becomes(lambda: (made.clock.advance(0.6), made.clock.pending())[1] == 0)
    assert 1 <= len(looks) <= 6


# --- holds ---


def test_a_held_task_is_told_of_with_number_reason_and_suggestion(program):
    made = program()
    task = made.task()
    held(made, task)
    made.clock.advance(3600)
    assert made.relaunched == []
    (event,) = made.said(TaskHeld)
    assert (event.task, event.number, event.owner) == (task["id"], 5, "rule hold-memory")
    assert event.reason == "it needs more memory than it had"
    assert "--executor" in event.suggestion
    assert [each.task for each in made.picture.held] == [task["id"]]


def test_a_hold_goes_over_a_delay_and_not_the_other_way_round(program):
    made = program()
    task = made.task()
    made.session.parked.delay(task, 1.0)
    held(made, task)  # the delay was for a try that the hold takes back
    made.session.parked.delay(task, 2.0)
    made.clock.advance(10)
    assert made.relaunched == []


def test_a_released_task_goes_on_at_the_executor_that_is_named(program):
    made = program("alder", "birch")
    task = made.task()
    entry = held(made, task)
    assert made.session.parked.release(entry, "release", "ada", to="birch")
    assert becomes(lambda: made.relaunched == [task["id"]])
    assert task["executor"] == "birch"
    (event,) = made.said(TaskReleased)
    assert (event.how, event.owner, event.executor) == ("release", "ada", "birch")
    assert len(made.picture.held) == 0
    assert not made.session.parked.release(entry, "release", "bob")


def test_a_retry_gives_fresh_budgets(program):
    made = program(retries=1)
    task = made.task()
    for number in range(2):
        made.launch(task)
        retried = made.fail(task, ValueError(number))
    assert not retried
    assert made.picture.tasks[task["id"]].spent == {"application": 2}
    task["status"] = "pending"
    assert made.session.parked.release(held(made, task), "retry", "ada")
    assert made.picture.tasks[task["id"]].spent == {}
    assert made.fail(task, ValueError(3))


def test_only_one_of_many_who_release_a_task_does_it(program):
    made = program()
    entry = held(made, made.task())
    won = []

    def release():
        if made.session.parked.release(entry, "release", "ada"):
            won.append(1)

    threads = [threading.Thread(target=release) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1
    assert becomes(lambda: len(made.relaunched) == 1)


# --- values that stand in ---


def test_a_task_gets_a_value_in_place_of_its_next_try(program):
    made = program(retries=1)
    task = made.task()
    made.launch(task)
    assert made.fail(task, ValueError("x"))
    made.session.parked.substitute(task, 42)
    answer = made.launch(task)
    assert answer.result(timeout=0) == 42
    made.succeed(task, 42)
    (ended,) = made.said(TaskEnded)
    assert (ended.outcome, ended.tries) == ("substituted", 1)
    assert made.launch(made.task()) is None


def test_a_value_that_stands_in_is_not_remembered_as_the_result(program):
    made = program()
    seen = []
    made.memoizer.inner.update_memo_result = lambda task, result: seen.append(result)
    task = made.task()
    made.session.parked.substitute(task, None)
    assert made.launch(task).result(timeout=0) is None
    made.succeed(task, None)
    made.succeed(made.task(), 7)
    assert seen == [7]
