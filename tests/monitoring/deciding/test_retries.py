"""The retry handler: always a number, never an exception; what it says is what Parsl then does."""

from __future__ import annotations

import logging
import math
import threading

import parsl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsl import Config, ThreadPoolExecutor, python_app
from parsl.dataflow.errors import DependencyError
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, VersionMismatch, WorkerLost
from parsl.jobs.errors import TooManyJobFailuresError
from parsl.logconfigs.noop import NoopLogging
from parsl.serialize.errors import SerializationError

from parsl_diaspora import NonRetryable, resilience, resilient
from parsl_diaspora.errors import RunAgain
from parsl_diaspora.events import (
    DecisionMade,
    PlaceQuarantined,
    PlaceReleased,
    ServiceDegraded,
    TaskEnded,
    TryFailed,
    TryLaunched,
)
from parsl_diaspora.executors import ResilientHighThroughputExecutor
from parsl_diaspora.executors.errors import InterchangeLost, RunnerUnusable
from parsl_diaspora.monitoring.deciding import retries, situations
from tests.monitoring.fakes import Program

WORKER, MANAGER = WorkerLost(3, "n1"), ManagerLost(b"m1", "n1")


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def rules(program):
    return [event.rule for event in program.said(DecisionMade)]


# --- a number, whatever happens ---

ERRORS = [
    ValueError("seed"),
    WORKER,
    MANAGER,
    InterchangeLost("gone"),
    MemoryError(),
    ModuleNotFoundError("No module named 'x'", name="x"),
    NonRetryable("empty"),
    DependencyError([(ValueError("x"), "task 0")], 1),
    SerializationError("simulate"),
    Mute(),
]
ANSWERS = [0, 1, -3, 0.5, True, 10**30, math.inf, -math.inf, math.nan, None, "twice", []]


def answering(answer):
    return lambda error, task: answer


@pytest.mark.parametrize("answer", ["none of its own", *ANSWERS], ids=repr)
def test_there_is_always_a_number(program, answer):
    own = None if answer == "none of its own" else answering(answer)
    made = program("alder", "birch", retries=2, own=own)
    made.see_manager("m1")
    for error in ERRORS:
        task = made.task()
        made.launch(task)
        made.fail(task, error)  # checks that the answer is a float


@pytest.mark.parametrize("retries", [0, 1, 3, 10**18])
@pytest.mark.parametrize("cost", [0, 5, -7, 10**18])
def test_a_decision_to_fail_fails_the_task_whatever_it_has_spent(program, retries, cost):
    made = program(retries=retries)
    task = made.task(fail_cost=cost)
    made.launch(task)
    assert not made.fail(task, NonRetryable("empty"))


@pytest.mark.parametrize("cost", [0, 1, 2])
def test_a_decision_to_retry_retries_whatever_the_task_has_spent(program, cost):
    made = program(retries=2)
    task = made.task(fail_cost=cost)
    made.launch(task)
    assert made.fail(task, WORKER)
    assert task["fail_cost"] <= 2


# --- budgets ---


def test_without_retries_a_failure_of_the_app_gets_one_second_opinion(program):
    made = program("alder", "birch", retries=0)
    task = made.run([ValueError(1), ValueError(2), ValueError(3)])
    assert task["fail_count"] == 2
    assert [event.target for event in made.said(DecisionMade)] == ["birch", None]


@pytest.mark.parametrize("retries", [1, 2, 5])
def test_an_app_that_always_fails_differently_has_the_programs_retries(program, retries):
    made = program(retries=retries)
    assert made.run([ValueError(n) for n in range(9)])["fail_count"] == retries + 1
    assert rules(made)[-1] == "budget-spent"


def test_losses_do_not_spend_the_applications_budget(program):
    made = program(retries=1)
    task = made.run([WORKER, WORKER, ValueError(1), MANAGER, WORKER, ValueError(2), ValueError(3)])
    assert task["fail_count"] == 6
    assert made.picture.tasks[0].spent == {"worker_lost": 3, "application": 2, "manager_lost": 1}


def test_a_task_that_kills_every_worker_ends(program):
    assert program().run([WORKER] * 50)["fail_count"] == 5


def test_there_is_a_hard_total_of_tries(program):
    made = program(max_tries=4, budgets={"worker_lost": 99, "manager_lost": 99})
    assert made.run([WORKER, MANAGER] * 9)["fail_count"] == 4
    assert rules(made)[-1] == "hard-total"


def test_the_apps_own_budget_is_obeyed(program):
    @resilience(retries={"worker_lost": 1, "unknown": 0}, non_retryable=(KeyError,))
    def fragile():
        return 1

    made = program(retries=5)
    assert made.run([WORKER] * 9, made.task(func=fragile))["fail_count"] == 2
    assert made.run([KeyError("x")] * 9, made.task(func=fragile))["fail_count"] == 1


def test_what_cannot_be_retried_is_not(program):
    made = program("alder", "birch", retries=5)
    assert made.run([NonRetryable("empty")] * 9)["fail_count"] == 1
    task = made.task()
    assert not made.fail(task, SerializationError("simulate"))  # before it was launched
    assert rules(made) == ["raiser-knows-best", "refused-at-submission"]


def where(number):
    """Raise at one line, so that it is the same failure each time."""
    try:
        raise ValueError(number)
    except ValueError as error:
        return error


def test_the_same_bug_at_two_executors_is_not_tried_a_third_time(program):
    made = program("alder", "birch", retries=9)
    assert made.run([where(n) for n in range(9)])["fail_count"] == 2
    assert rules(made)[-1] == "proven-hopeless"


def test_a_failure_that_a_task_once_overcame_is_not_called_hopeless(program):
    made = program("alder", "birch", retries=9)
    made.run([where(0)])
    assert made.run([where(n) for n in range(5)])["fail_count"] == 5


# --- where the next try goes ---


def test_a_module_that_is_missing_sends_the_task_and_the_next_ones_elsewhere(program):
    made = program("alder", "birch")
    error = ModuleNotFoundError("No module named 'x'", name="x")
    task = made.task()
    made.launch(task)
    assert made.fail(task, error)
    assert task["executor"] == "birch"
    later = made.task()
    made.launch(later)
    assert later["executor"] == "birch"
    assert rules(made) == ["lacking-elsewhere", "known-lack"]


def test_an_app_is_never_moved_to_an_executor_that_its_author_excludes(program):
    from tests.monitoring.sample_apps import only_birch

    made = program("alder", "birch", retries=3)
    task = made.run([ValueError(n) for n in range(2)], made.task("birch", func=only_birch.func))
    assert task["executor"] == "birch"
    assert {event.target for event in made.said(DecisionMade)} == {None}


@pytest.mark.parametrize(("move", "target"), [("none", None), ("any", "birch")])
def test_the_settings_say_how_far_a_task_may_move(program, move, target):
    from tests.monitoring.sample_apps import make

    made = program("alder", "birch", retries=3, move=move)
    made.run([ValueError(1)], made.task(func=make(["alder"]).func))
    assert [event.target for event in made.said(DecisionMade)] == [target]


def test_a_second_opinion_avoids_the_manager_where_it_failed(program):
    made = program(retries=3)
    made.see_manager("m1")
    made.see_manager("m2")
    task = made.task()
    made.launch(task)
    made.report(ValueError("x"), "m1")
    assert made.fail(task, ValueError("x"))
    made.launch(task)
    assert made.launch_seen.avoid == ("m1",)
    assert [event.avoid for event in made.said(TryLaunched)] == [("m1",)]


def test_a_third_try_avoids_both_managers_where_it_failed_as_long_as_one_is_left(program):
    made = program(retries=9)
    for name in ("m1", "m2", "m3"):
        made.see_manager(name)
    task = made.task()
    seen = []
    for name in ("m1", "m2", "m3", "m3"):
        made.launch(task)
        seen.append(made.launch_seen.avoid)
        made.report(ValueError(name), name)
        assert made.fail(task, ValueError(name))
    assert seen == [(), ("m1",), ("m1", "m2"), ("m3",)]


def test_an_announcement_of_managers_to_avoid_is_for_the_next_try_only(program):
    made = program(retries=9)
    made.see_manager("m1")
    made.see_manager("m2")
    task = made.task()
    made.launch(task)
    made.report(ValueError("x"), "m1")
    made.fail(task, ValueError("x"))
    made.launch(task)
    made.launch(task)
    assert made.launch_seen.avoid == ()


# --- executors that are gone ---


def test_tasks_of_an_executor_that_is_given_up_move_to_another(program):
    made = program("alder", "birch")
    task = made.task()
    made.launch(task)
    gone = TooManyJobFailuresError("no block can start")
    made.executors["alder"].break_down(gone)
    assert made.fail(task, BadStateException(made.executors["alder"], gone))
    assert task["executor"] == "birch"


@pytest.mark.parametrize(
    "reason", [TooManyJobFailuresError("x"), VersionMismatch("a", "b"), RuntimeError("own handler")]
)
def test_a_launch_at_an_executor_that_is_given_up_is_not_held_against_the_task_whatever_ended_it(
    program, reason
):
    made = program("alder", "birch")
    task = made.task()
    made.launch(task)
    task["status"] = parsl.dataflow.states.States.pending  # the executor refused it
    made.executors["alder"].break_down(reason)
    assert made.fail(task, reason)
    assert rules(made) == ["executor-lost-move"]
    assert task["executor"] == "birch"


def test_a_new_task_is_not_sent_to_an_executor_that_is_given_up(program):
    made = program("alder", "birch")
    made.executors["alder"].break_down(RuntimeError("x"))
    task = made.task()
    made.launch(task)
    assert task["executor"] == "birch"
    assert made.launch_seen.executor == "birch"


def test_without_another_executor_the_task_fails_and_says_why(program):
    made = program()
    task = made.task()
    made.launch(task)
    made.executors["alder"].break_down(RuntimeError("x"))
    assert not made.fail(task, BadStateException(made.executors["alder"], RuntimeError("x")))
    assert rules(made) == ["executor-lost-nowhere"]


# --- workers without this package ---


@pytest.mark.parametrize("others", [(), ("birch",)])
def test_workers_that_cannot_run_our_part_get_tasks_as_stock_does_and_the_task_stays(program, others):
    made = program("alder", *others, budgets={"missing_module": 0, "application": 0})
    made.executors["alder"] = executor = ResilientHighThroughputExecutor(label="alder", address="127.0.0.1")
    for _ in range(3):
        task = made.task()
        made.launch(task)
        task["status"] = parsl.dataflow.states.States.launched
        assert made.fail(task, RunnerUnusable("No module named 'parsl_diaspora'"))
        assert task["executor"] == "alder"
    assert executor._plain
    assert made.picture.unfit == {}
    assert [event.part for event in made.said(ServiceDegraded)] == ["workers of alder"]


def test_an_app_that_needs_this_package_goes_where_it_is(program):
    made = program("alder", "birch")
    task = made.task()
    for target in ("alder", "birch"):
        made.launch(task)
        assert made.fail(task, ModuleNotFoundError("No module named 'parsl_diaspora'", name="parsl_diaspora"))
        assert task["executor"] == target


# --- the program's own handler ---


def test_the_programs_own_handler_sees_each_failure_as_stock_would_show_it(program):
    seen = []

    def own(error, task):
        seen.append((error, task["id"], task["executor"]))
        return 0

    made = program("alder", "birch", own=own)
    errors = [ValueError("x"), WORKER, DependencyError([(ValueError("x"), "task 0")], 1)]
    for error in errors:
        task = made.task()
        made.launch(task)
        made.fail(task, error)
    assert seen == [(error, number, "alder") for number, error in enumerate(errors)]


@given(
    costs=st.lists(st.sampled_from([0, 0.5, 1, 2, -1]), min_size=1, max_size=10), retries=st.integers(0, 4)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_its_costs_count_against_the_programs_retries_as_they_do_in_stock(tmp_path, costs, retries):
    spent = list(costs)
    made = Program(tmp_path, retries=retries, own=lambda error, task: spent.pop(0), max_tries=99)
    task = made.run([where(n) for n in range(len(costs))])
    made.memoizer.close()
    total, expected = 0, 0
    for cost in costs:
        total, expected = total + cost, expected + 1
        if total > retries:
            break
    assert task["fail_count"] == expected


def test_its_costs_are_not_charged_for_losses(program):
    made = program(retries=1, own=lambda error, task: 1)
    assert made.run([WORKER, MANAGER, WORKER, ValueError(1), WORKER])["fail_count"] == 5


@pytest.mark.parametrize("cost", [math.inf, math.nan])
@pytest.mark.parametrize("error", [WORKER, ValueError("x")])
def test_an_answer_that_ends_the_task_in_stock_ends_it(program, cost, error):
    made = program("alder", "birch", retries=5, own=lambda error, task: cost)
    assert made.run([error] * 3)["fail_count"] == 1
    assert rules(made) == ["own-handler-stops"]


def test_a_handler_that_always_says_free_ends_at_the_hard_total(program):
    made = program(retries=0, own=lambda error, task: 0, max_tries=6)
    assert made.run([where(n) for n in range(20)])["fail_count"] == 6


@pytest.mark.parametrize(
    "error", [WORKER, ValueError("x"), DependencyError([(ValueError("x"), "task 0")], 1)]
)
def test_what_a_handler_raises_ends_the_task_as_in_stock_and_what_failed_is_told(program, error):
    def own(error, task):
        raise KeyError("give up")

    made = program("alder", "birch", retries=5, own=own)
    task = made.task()
    made.launch(task)
    with pytest.raises(KeyError, match="give up"):
        made.handler(error, task)
    assert rules(made) == ([] if isinstance(error, DependencyError) else ["own-handler-stops"])
    assert made.session.live.faults["the program's own retry handler"] == 1


@pytest.mark.parametrize("answer", [None, "twice"])
def test_a_handler_that_gives_no_number_costs_what_a_failure_costs_without_one_and_is_said_once(
    program, answer, caplog
):
    made = program(retries=2, own=answering(answer))
    task = made.run([where(n) for n in range(9)])
    assert task["fail_count"] == 3
    assert made.session.live.faults["the program's own retry handler"] == 3
    assert len([r for r in caplog.records if "own retry handler" in r.getMessage()]) == 1


def test_where_it_sends_the_task_is_kept_and_told_and_the_failure_stays_where_it_was(program):
    def own(error, task):
        task["executor"] = "cedar"
        task["kwargs"] = {"smaller": True}
        return 0.5

    made = program("alder", "birch", "cedar", retries=3, own=own)
    task = made.task()
    made.launch(task)
    assert made.fail(task, ModuleNotFoundError("No module named 'x'", name="x"))
    assert (task["executor"], task["kwargs"]) == ("cedar", {"smaller": True})
    (failed,), (decision,) = made.said(TryFailed), made.said(DecisionMade)
    assert (failed.executor, decision.executor) == ("alder", "alder")
    assert (decision.action, decision.target, decision.rule) == ("move", "cedar", "own-handler-moves")
    assert made.picture.outstanding == {"alder": 0}


def test_where_it_sends_the_task_is_kept_even_if_ours_has_a_fault(program, monkeypatch):
    def own(error, task):
        task["executor"] = "birch"
        return 0.5

    made = program("alder", "birch", retries=3, own=own)
    monkeypatch.setattr(retries, "choose", None)
    task = made.task()
    made.launch(task)
    assert made.fail(task, ValueError("x"))
    assert (task["executor"], task["fail_cost"]) == ("birch", 0.5)


# --- faults of ours ---


@pytest.mark.parametrize("own", [None, lambda error, task: 0.25])
@pytest.mark.parametrize(
    "part",
    [(retries, "choose"), (retries, "describe"), (situations, "context_of"), (situations, "Situation")],
    ids=lambda part: part[1],
)
def test_a_fault_of_ours_falls_back_to_the_stock_answer_counted_and_said_once(
    program, monkeypatch, own, part
):
    made = program(retries=10, own=own)

    def broken(*arguments, **more):
        raise RuntimeError("ours")

    monkeypatch.setattr(*part, broken)
    task = made.task()
    for number in range(3):
        made.launch(task)
        assert made.fail(task, ValueError("x"))
        assert task["fail_cost"] == (number + 1) * (1.0 if own is None else 0.25)
    assert made.session.live.faults == {"retry handler": 3}
    assert [(e.part, e.why) for e in made.said(ServiceDegraded)] == [("retry handler", "RuntimeError: ours")]


def test_a_run_that_cannot_even_begin_is_as_stock_and_said_once(program, monkeypatch, caplog):
    made = program(retries=1, whole=True)
    monkeypatch.setattr(made.session, "_make_live", lambda run_id: 1 / 0)
    for _ in range(2):
        task = made.task()
        assert made.launch(task) is None
        assert made.fail(task, ValueError("x"))
        assert not made.fail(task, ValueError("x"))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(set(messages)) == 3
    assert all(record.levelno == logging.WARNING for record in caplog.records)


# --- what is said ---


def test_a_failure_and_its_decision_are_told_with_the_place(program):
    made = program("alder", "birch")
    task = made.task()
    made.launch(task)
    made.report(where(1), "m1")
    made.fail(task, where(1))
    (failed,), (decision,) = made.said(TryFailed), made.said(DecisionMade)
    for event in (failed, decision):
        assert (event.task, event.try_id, event.executor) == (task["id"], 0, "alder")
        assert (event.manager, event.block, event.node) == ("m1", "0", "n1")
    assert failed.seconds == 1.5
    assert failed.failure.frame.startswith("test_retries.py:where:")
    assert decision.cause == (failed.id,)


def test_a_lost_try_is_told_where_its_worker_last_was(program):
    made = program()
    task = made.task()
    made.launch(task)
    made.session.live.say(started(task))
    made.fail(task, WORKER)
    (failed,) = made.said(TryFailed)
    assert (failed.manager, failed.worker, failed.node, failed.failure.phase) == ("m7", 2, "n7", "lost")
    assert failed.failure.traceback == ""


def started(task):
    from parsl_diaspora.events import TryStarted

    place = {"executor": "alder", "manager": "m7", "block": "3", "node": "n7", "worker": 2}
    return TryStarted(task=task["id"], try_id=0, **place)


def test_a_try_that_was_lost_before_it_told_anything_is_placed_by_the_exception(program):
    made = program()
    task = made.task()
    made.launch(task)
    made.fail(task, MANAGER)
    (failed,) = made.said(TryFailed)
    assert (failed.manager, failed.node) == ("m1", "n1")


def test_failures_that_are_described_on_this_side_are_redacted_too(program):
    made = program(redact=f"{__name__}:clean")
    task = made.task()
    for _ in range(2):
        made.launch(task)
        made.fail(task, ValueError("hunter2"))
    texts = [event.failure.message + event.failure.traceback for event in made.said(TryFailed)]
    assert texts
    assert not any("hunter2" in text for text in texts)
    assert [event.error for event in made.said(TaskEnded)] == ["ValueError: ***"]


def clean(text):
    return text.replace("hunter2", "***")


def test_a_failed_dependency_is_said_at_its_end_only(program):
    made = program()
    task = made.task()
    assert made.handler(DependencyError([(ValueError("x"), "task 0")], 1), task) == 0.0
    assert made.said(TryFailed, DecisionMade) == []


def test_a_failure_that_the_memoizer_remembers_is_final_and_no_new_failure(program):
    made = program("alder", "birch", retries=5)
    task = made.task(from_memo=True)
    assert not made.fail(task, ValueError("x"))
    assert made.said(TryFailed, DecisionMade) == []
    assert [event.outcome for event in made.said(TaskEnded)] == ["failed"]


# --- quarantine ---


def test_a_manager_where_tasks_keep_failing_rests_and_is_released_after_its_time(program):
    made = program(retries=9, quarantine_for=300.0)
    made.see_manager("m1")
    made.see_manager("m2")
    for _ in range(3):
        task = made.task()
        made.launch(task)
        made.report(ValueError("no GPU"), "m1")
        made.fail(task, ValueError("no GPU"))
        made.clock.advance(0.1)
    (event,) = made.said(PlaceQuarantined)
    assert (event.manager, event.cause) == ("m1", (made.said(TryFailed)[-1].id,))
    assert made.picture.present["alder"] == {"m2"}
    made.clock.advance(299)
    assert made.said(PlaceReleased) == []
    made.clock.advance(2)
    assert [event.manager for event in made.said(PlaceReleased)] == ["m1"]
    assert made.picture.present["alder"] == {"m1", "m2"}


def bad_manager(made, name="m1", tasks=3):
    for _ in range(tasks):
        task = made.task()
        made.launch(task)
        made.report(ValueError("no GPU"), name)
        made.fail(task, ValueError("no GPU"))


def test_after_its_quarantine_one_task_decides_whether_a_manager_is_well(program):
    made = program(retries=9, quarantine_for=300.0)
    made.see_manager("m1")
    made.see_manager("m2")
    bad_manager(made)
    made.clock.advance(301)
    assert made.picture.quarantined.on_trial == {("manager", "m1")}
    bad_manager(made, tasks=1)
    assert [event.seconds for event in made.said(PlaceQuarantined)] == [300, 600]
    made.clock.advance(601)
    task = made.task()
    made.launch(task)
    made.report(manager="m1")
    made.succeed(task)
    assert made.said(PlaceReleased)[-1].reason == "a task has succeeded there"
    assert made.picture.quarantined.on_trial == set()


def test_an_executor_can_be_given_no_work_for_a_while_and_one_task_tries_it_afterwards(program):
    made = program("alder", "birch")
    for label in ("alder", "birch"):
        made.see_manager(f"{label}-1", label)
    assert made.session.quarantines.place("executor", "alder", 60.0, "its file system is away")
    assert not made.session.quarantines.place("executor", "birch", 60.0, "the last one")
    task = made.task("alder")
    made.launch(task)
    assert task["executor"] == "birch"
    made.clock.advance(61)
    tasks = [made.task("alder") for _ in range(3)]
    for task in tasks:
        made.launch(task)
    assert [task["executor"] for task in tasks] == ["alder", "birch", "birch"]


# --- delays ---


def test_a_delay_is_a_gate_among_the_tasks_dependencies_that_opens_by_itself(program):
    made = program()
    task = made.task(depends=["what it waited for"])
    for _ in range(2):
        made.launch(task)
        made.fail(task, WORKER)
    (waited_for, gate) = task["depends"]
    assert waited_for == "what it waited for"
    assert not gate.done()
    assert made.relaunched == []
    made.clock.advance(0.6)
    assert gate.done()
    assert made.relaunched == [task["id"]]


def test_a_kernel_that_has_gone_meanwhile_is_no_trouble(program):
    made = program()

    def gone(task):
        raise RuntimeError("cannot schedule new futures after shutdown")

    made.launch_if_ready = gone
    made.session.parked.delay(made.task(), 1.0)
    made.clock.advance(2.0)


@python_app
def lose_twice(seen, number):
    from parsl.executors.high_throughput.errors import WorkerLost

    seen.append(number)
    if seen.count(number) <= 2:
        raise WorkerLost(number, "n1")
    return number


def test_many_delayed_tasks_wait_in_parsl_without_a_thread_each(tmp_path):
    config = Config(
        executors=[ThreadPoolExecutor(label="threads", max_threads=4)],
        run_dir=str(tmp_path / "runinfo"),
        initialize_logging=NoopLogging(),
    )
    seen: list[int] = []
    before = threading.active_count()
    with parsl.load(resilient(config, fabric="memory:", retry_delay=0.5)):
        futures = [lose_twice(seen, number) for number in range(60)]
        most = 0
        while not all(future.done() for future in futures):
            most = max(most, threading.active_count())
        assert [future.result() for future in futures] == list(range(60))
    assert most - before < 20


# --- programs that save their files and ask to be run again ---


def test_a_program_may_ask_to_be_run_again_as_often_as_it_gets_on(program):
    made = program("alder", retries=0)
    made.see_manager("m1")
    task = made.task()
    for _ in range(40):
        made.launch(task)
        assert made.fail(task, RunAgain("It has saved its files.", exit_code=85))
    assert set(rules(made)) == {"checkpointed-again"}


def test_other_failures_in_between_are_counted_as_ever(program):
    made = program("alder", retries=1)
    made.see_manager("m1")
    task, answers = made.task(), []
    for error in (RunAgain("saved"), ValueError("x"), RunAgain("saved"), RunAgain("saved"), ValueError("x")):
        made.launch(task)
        answers.append(made.fail(task, error))
    assert rules(made)[-1] == "budget-spent"
    assert answers == [True, True, True, True, False]
