"""What is true now, folded from events in whatever order their sources are heard."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    Event,
    Failure,
    FaultInjected,
    ManagerLost,
    ManagerSeen,
    PlaceQuarantined,
    PlaceReleased,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskMoved,
    TaskSubmitted,
    TryDeclined,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
    Unknown,
)
from parsl_diaspora.failures import CLASSES, got_on
from parsl_diaspora.state import Picture
from parsl_diaspora.state.records import GOT_ON
from tests.state.stories import RUN, arrival, stories

AT_M1 = {"executor": "alder", "block": "0", "manager": "m1", "node": "n1", "worker": 1}


def picture(*events):
    made = Picture(RUN)
    for number, event in enumerate(events):
        event.run, event.time = RUN, event.time or 100.0 + number
        made.fold(event)
    return made


def submitted(task=0, executor="alder"):
    return TaskSubmitted(task=task, try_id=0, executor=executor, func="simulate")


def decided(kind, task=0, try_id=0, **more):
    diagnosis = Diagnosis(failure_class=kind, missing=more.pop("missing", ""))
    return DecisionMade(task=task, try_id=try_id, diagnosis=diagnosis, tries=try_id + 1, **more)


def everything(of: Picture):
    """All that a picture knows, with the records of failures as sets: their order is that of arrival."""
    known = {name: value for name, value in vars(of).items() if name not in ("_words", "_managers")}
    known["outstanding"] = {label: count for label, count in known["outstanding"].items() if count}
    for name in ("managers", "nodes"):
        known[name] = {
            key: {**msgspec.structs.asdict(each), "failures": sorted(each.failures)}
            for key, each in known[name].items()
        }
    return known


# --- order of arrival ---


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_the_final_picture_does_not_depend_on_when_workers_are_heard(data):
    story = data.draw(stories())
    told = [story.submit, *story.workers.values()]
    in_time = sorted((event for source in told for event in source), key=lambda event: event.time)
    as_heard = arrival(data.draw, story)
    assert everything(picture(*as_heard)) == everything(picture(*in_time))


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
def test_the_number_of_outstanding_tries_is_never_negative_and_counts_the_unfinished_ones(data):
    story = data.draw(stories())
    made = Picture(RUN)
    for event in arrival(data.draw, story):
        made.fold(event)
        assert all(count >= 0 for count in made.outstanding.values())
    unfinished = [
        each.executor
        for task in made.tasks.values()
        for each in task.tries
        if each.status in ("launched", "running")
    ]
    assert sum(made.outstanding.values()) == len(unfinished)
    assert {label: count for label, count in made.outstanding.items() if count} == {
        label: unfinished.count(label) for label in unfinished
    }


@given(st.data())
def test_a_manager_runs_what_started_there_and_has_not_ended(data):
    story = data.draw(stories())
    made = picture(*arrival(data.draw, story))
    for name, manager in made.managers.items():
        assert manager.running == {
            (number, try_id)
            for number, task in made.tasks.items()
            for try_id, each in enumerate(task.tries)
            if each.status in ("running", "cancelled") and each.pid and each.manager == name
        }


def test_an_end_that_was_never_launched_owes_nothing():
    made = picture(TryFailed(task=0, try_id=0, executor="alder"))
    assert made.outstanding.get("alder", 0) == 0


def test_a_try_is_owed_by_the_executor_that_it_was_launched_at_even_if_its_end_names_another():
    made = picture(submitted(), TryFailed(task=0, try_id=0, executor="birch"))
    assert set(made.outstanding.values()) == {0}


def test_a_join_app_that_fails_through_an_inner_task_is_no_longer_outstanding():
    made = picture(submitted(), TaskEnded(task=0, outcome="failed", tries=1, error="JoinError"))
    assert made.outstanding == {"alder": 0}
    assert made.tasks[0].tries[0].status == "failed"


def test_a_cancelled_try_keeps_its_worker_busy_until_it_is_known_to_have_stopped():
    place = {"executor": "alder", "manager": "m1", "node": "n1", "worker": 0}
    events = [
        submitted(),
        TryStarted(task=0, try_id=0, pid=7, **place),
        TaskEnded(task=0, outcome="cancelled"),
    ]
    made = picture(*events)
    assert (made.outstanding, made.counts["cancelled"]) == ({"alder": 0}, 1)
    assert made.managers["m1"].running == {(0, 0)}
    made = picture(*events, TryStopped(task=0, try_id=0))
    assert made.managers["m1"].running == set()
    assert made.tasks[0].tries[0].status == "stopped"


# --- tasks ---


def test_a_second_copy_keeps_its_worker_busy_and_changes_nothing_of_the_try():
    at_birch = {"task": 0, "try_id": 0, "executor": "birch", "manager": "b1", "node": "n2", "worker": 0}
    made = picture(
        ManagerSeen(executor="alder", manager="m1"),
        ManagerSeen(executor="birch", manager="b1"),
        submitted(),
        TryStarted(task=0, try_id=0, pid=1, **AT_M1),
        TryStarted(pid=2, **at_birch),
    )
    assert made.last_try(0).manager == "m1"
    assert made.managers["b1"].running == {(0, 0)}
    assert made.outstanding == {"alder": 1}
    made.fold(TryEnded(run=RUN, time=200.0, **at_birch))
    made.fold(TryStopped(run=RUN, time=201.0, task=0, try_id=0, **AT_M1))
    assert (made.last_try(0).status, made.last_try(0).executor) == ("ended", "birch")
    assert made.managers["m1"].running == made.managers["b1"].running == set()
    assert made.outstanding == {"alder": 0}


def test_a_try_that_was_moved_is_owed_by_its_new_executor_and_has_not_begun_there():
    moved = TaskMoved(task=0, try_id=0, executor="alder", to="birch")
    made = picture(submitted(), TryStarted(task=0, try_id=0, pid=1, **AT_M1), moved)
    last = made.last_try(0)
    assert (last.status, last.executor, last.manager) == ("launched", "birch", None)
    assert made.outstanding == {"alder": 0, "birch": 1}


def test_a_move_that_is_heard_after_the_end_changes_nothing():
    moved = TaskMoved(task=0, try_id=0, executor="alder", to="birch")
    made = picture(submitted(), TryEnded(task=0, try_id=0, **AT_M1), moved)
    assert (made.last_try(0).status, made.last_try(0).executor) == ("ended", "alder")


def test_a_task_is_followed_from_its_submission_to_its_end():
    made = picture(submitted())
    assert made.tasks[0].func == "simulate"
    assert (made.last_try(0).status, made.outstanding) == ("launched", {"alder": 1})
    made = picture(submitted(), TryStarted(task=0, try_id=0, pid=77, **AT_M1))
    found = made.last_try(0)
    assert (found.status, found.manager, found.node, found.worker, found.pid) == (
        "running",
        "m1",
        "n1",
        1,
        77,
    )
    made = picture(submitted(), TryEnded(task=0, try_id=0, seconds=2.5, **AT_M1), TaskEnded(task=0))
    assert (made.tasks[0].outcome, made.last_try(0).seconds) == ("done", 2.5)
    assert made.outstanding == {"alder": 0}
    assert made.counts == {"tries": 1, "done": 1}


def test_a_task_ends_once_however_often_it_is_said():
    made = picture(submitted(), TaskEnded(task=0), TaskEnded(task=0))
    assert made.counts["done"] == 1


def test_each_failed_try_is_charged_to_its_budget():
    failed = TryFailed(task=0, try_id=0, failure=Failure(chain=("x.Odd",), frame="a.py:f:1"), **AT_M1)
    first = decided("worker_lost", budget="worker_lost", used=1)
    second = decided("application", try_id=1, budget="application", used=1)
    made = picture(submitted(), failed, first, TryLaunched(task=0, try_id=1, executor="alder"), second)
    assert made.tasks[0].spent == {"worker_lost": 1, "application": 1}
    assert made.tasks[0].tries[0].fingerprint == "x.Odd@a.py:f:1"
    assert made.counts == {"tries": 2, "failed_tries": 1, "decisions": 2}


def test_a_success_after_a_failure_proves_that_the_failure_can_be_overcome():
    failed = TryFailed(task=0, try_id=0, failure=Failure(chain=("x.Odd",), frame="a.py:f:1"), **AT_M1)
    again = TryLaunched(task=0, try_id=1, executor="alder")
    assert picture(submitted(), failed, again).overcome == set()
    made = picture(submitted(), failed, again, TryEnded(task=0, try_id=1), TaskEnded(task=0, tries=2))
    assert made.overcome == {("simulate", "x.Odd@a.py:f:1")}


def test_a_declined_try_is_counted_and_goes_on():
    made = picture(submitted(), TryDeclined(task=0, try_id=0, count=1, **AT_M1))
    assert made.counts["declined"] == 1
    assert made.outstanding == {"alder": 1}


def test_a_module_that_is_missing_makes_the_place_unfit_for_that_app_only():
    made = picture(submitted(), decided("missing_module", missing="strokes", executor="alder"))
    assert made.unfit == {("simulate", "alder"): "strokes"}


def test_workers_that_lack_this_package_are_not_unfit_for_the_app():
    assert picture(submitted(), decided("missing_module", missing="parsl_diaspora")).unfit == {}


def test_a_routing_decision_before_the_first_try_charges_nothing():
    made = picture(
        submitted(), DecisionMade(task=0, try_id=0, executor="birch", rule="known-lack", target="alder")
    )
    assert made.tasks[0].spent == {}
    assert made.unfit == {}


def test_of_many_finished_tasks_the_newest_are_kept_and_all_are_counted():
    made = Picture(RUN, keep=2)
    for task in range(5):
        for event in (submitted(task), TaskEnded(task=task)):
            event.run = RUN
            made.fold(event)
    unfinished = submitted(9)
    unfinished.run = RUN
    made.fold(unfinished)
    assert sorted(made.tasks) == [3, 4, 9]
    assert made.counts == {"tries": 6, "done": 5}
    assert made.outstanding == {"alder": 1}


# --- managers, blocks, places ---


def test_managers_are_known_with_their_node_once_a_try_has_told_it():
    made = picture(ManagerSeen(workers=4, executor="alder", block="0", manager="m1"))
    assert (made.managers["m1"].workers, made.managers["m1"].node) == (4, None)
    made = picture(
        ManagerSeen(workers=4, executor="alder", block="0", manager="m1"),
        TryStarted(task=0, try_id=0, **AT_M1),
    )
    assert made.managers["m1"].node == "n1"
    assert made.nodes["n1"].managers == {"m1"}


def test_a_failure_stands_on_the_record_of_its_manager_and_node():
    made = picture(
        ManagerSeen(workers=4, **AT_M1),
        submitted(),
        TryFailed(task=0, try_id=0, **AT_M1),
        decided("application"),
    )
    assert list(made.managers["m1"].failures) == [(103.0, 0, "application")]
    assert list(made.nodes["n1"].failures) == [(103.0, 0, "application")]


def seen(manager, executor="alder", workers=2):
    return ManagerSeen(executor=executor, manager=manager, workers=workers)


def test_managers_that_are_lost_or_in_quarantine_are_not_offered():
    gone = ManagerLost(executor="alder", manager="m2", reason="no heartbeats")
    resting = PlaceQuarantined(executor="alder", manager="m3", reason="fails", seconds=9)
    made = picture(seen("m1"), seen("m2"), seen("m3"), gone, resting)
    assert made.present["alder"] == {"m1"}
    assert made.managers["m2"].lost == "no heartbeats"
    assert not made.has_other_manager("alder", "m1")
    assert made.has_other_manager("alder", "m2")
    assert made.has_other_manager("alder", None)


def test_a_released_or_returned_manager_is_offered_again():
    resting = PlaceQuarantined(executor="alder", manager="m2", reason="fails", seconds=9)
    gone = ManagerLost(executor="alder", manager="m1", reason="cut off")
    made = picture(seen("m1"), seen("m2"), resting, gone, PlaceReleased(manager="m2"), seen("m1"))
    assert made.present["alder"] == {"m1", "m2"}
    assert made.quarantined.reasons == {}


def test_the_load_of_an_executor_is_its_outstanding_tries_a_worker():
    made = picture(seen("m1", workers=4), seen("b1", "birch", workers=1))
    assert made.load("alder") == 0.0
    for task in range(4):
        submission = submitted(task)
        submission.run = RUN
        made.fold(submission)
    assert (made.load("alder"), made.load("birch"), made.load("oak")) == (1.0, 0.0, 0.0)


def test_workers_of_managers_that_came_back_or_rested_are_counted_once():
    resting = PlaceQuarantined(executor="alder", manager="m1", reason="fails", seconds=9)
    gone = ManagerLost(executor="alder", manager="m2", reason="cut off")
    events = [seen("m1"), seen("m2"), seen("m1"), resting, PlaceReleased(manager="m1"), gone, seen("m2")]
    assert picture(*events).workers == {"alder": 4}


def test_an_executor_of_which_no_manager_was_ever_seen_is_of_a_kind_that_has_none():
    made = picture(seen("m1"), ManagerLost(executor="alder", manager="m1", reason="gone"))
    assert not made.has_managers("alder")
    assert made.has_managers("threads")


# --- the run ---


def test_the_run_has_a_beginning_an_end_and_its_faults():
    started, fault, ended = RunStarted(program="study.py"), FaultInjected(fault="kill"), RunEnded(done=3)
    made = picture(started, fault, ended)
    assert (made.started.program, made.ended.done, made.faults) == ("study.py", 3, [fault])
    assert (made.first_time, made.last_time) == (100.0, 102.0)


@pytest.mark.parametrize("event", [submitted(), RunStarted(), ManagerSeen(manager="m9")])
def test_events_of_other_runs_change_nothing(event):
    made = Picture(RUN)
    event.run, event.time = "another", 5.0
    before = everything(made)
    made.fold(event)
    assert everything(made) == before


def test_events_that_this_release_does_not_know_are_no_trouble():
    made = picture(Unknown(said_kind="task.teleported"), Event())
    assert made.tasks == {}


def test_tries_in_which_a_task_got_on_count_no_more():
    story = [submitted()]
    for try_id, kind in enumerate(("checkpointed", "bug", "checkpointed", "checkpointed")):
        story += [TryFailed(task=0, try_id=try_id), decided(kind, try_id=try_id)]
        story += [TryLaunched(task=0, try_id=try_id + 1, executor="alder")]
    assert picture(*story).tasks[0].free == 3


def test_a_decision_that_is_revised_takes_back_what_it_let_pass_for_free():
    first = decided("checkpointed", budget="checkpointed", used=1)
    again = decided("bug", budget="application", used=1, revises="e1")
    assert picture(submitted(), TryFailed(task=0, try_id=0), first, again).tasks[0].free == 0


def test_the_classes_in_which_a_task_gets_on_are_those_of_the_taxonomy():
    assert {name for name in CLASSES if got_on(name)} == GOT_ON
