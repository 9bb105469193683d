"""One run: where its tasks may go, and what is told of it."""

from __future__ import annotations

import threading

import pytest
from parsl.data_provider.files import File

from parsl_diaspora import open_fabric
from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    ManagerLost,
    RunEnded,
    RunStarted,
    ServiceDegraded,
    TaskSubmitted,
    TryEnded,
    TryStarted,
)
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.settings import Settings
from tests.monitoring.sample_apps import make, only_birch


def others(made, task):
    return made.session.routing.others(task, made.session.live)


# --- where a task may go ---


def test_the_other_executors_are_those_that_the_author_allows_and_the_program_has(program):
    made = program("alder", "birch", "cedar")
    assert others(made, made.task()) == ["birch", "cedar"]
    assert others(made, made.task(func=only_birch.func)) == ["birch"]
    assert others(made, made.task("birch", func=only_birch.func)) == []


def test_the_least_loaded_one_comes_first(program):
    made = program("alder", "birch", "cedar")
    made.see_manager("b", "birch", workers=1)
    made.see_manager("c", "cedar", workers=4)
    for label in ("birch", "cedar", "cedar"):
        made.launch(made.task(label))
    assert others(made, made.task()) == ["cedar", "birch"]


def test_one_without_managers_comes_last_however_idle_it_is(program):
    made = program("alder", "birch", "cedar")
    made.see_manager("b", "birch")
    made.see_manager("c", "cedar")
    made.session.live.say(ManagerLost(executor="birch", manager="b", reason="gone"))
    for _ in range(9):
        made.launch(made.task("cedar"))
    assert others(made, made.task()) == ["cedar", "birch"]


def test_one_that_is_given_up_is_none(program):
    made = program("alder", "birch", "cedar")
    made.executors["birch"].break_down(RuntimeError("x"))
    assert others(made, made.task()) == ["cedar"]


def test_one_that_is_known_to_lack_what_the_app_needs_is_none_for_that_app_only(program):
    made = program("alder", "birch", "cedar")
    task = made.task("birch")
    made.launch(task)
    lack = Diagnosis(failure_class="missing_module", missing="strokes")
    made.session.live.say(DecisionMade(task=task["id"], try_id=0, executor="birch", diagnosis=lack, tries=1))
    assert others(made, made.task()) == ["cedar"]
    other_app = made.task(func=only_birch.func, func_name="only_birch")
    assert others(made, other_app) == ["birch"]


def test_a_task_whose_files_were_staged_for_its_executor_stays_there(program):
    made = program("alder", "birch")
    assert others(made, made.task(kwargs={"inputs": [File("https://host/in.csv")]})) == []
    assert others(made, made.task(kwargs={"inputs": [File("/data/in.csv")]})) == ["birch"]


def test_a_task_of_parsls_own_stays_in_parsl(program):
    made = program("alder", "birch", move="any")
    assert others(made, made.task("_parsl_internal")) == []


@pytest.mark.parametrize(("move", "found"), [("none", []), ("any", ["birch", "cedar"])])
def test_the_settings_come_before_the_author(program, move, found):
    made = program("alder", "birch", "cedar", move=move)
    assert others(made, made.task(func=make(["alder"]).func)) == found


def test_an_app_that_cannot_be_found_may_go_where_parsl_has_sent_it_before(program):
    made = program("alder", "birch", "cedar")
    local, namesake = make("all").func, make(["cedar"]).func
    made.launch(made.task("birch", func=local))
    made.launch(made.task("cedar", func=namesake))
    assert others(made, made.task("alder", func=local)) == ["birch"]


# --- new tasks ---


def test_a_new_task_is_routed_around_what_is_known_and_the_decision_is_told(program):
    made = program("alder", "birch")
    made.executors["alder"].break_down(RuntimeError("x"))
    task = made.task()
    made.launch(task)
    (decision,) = made.said(DecisionMade)
    assert (decision.rule, decision.executor, decision.target) == ("executor-gone", "alder", "birch")
    assert [event.executor for event in made.said(TaskSubmitted)] == ["birch"]
    assert made.picture.outstanding == {"birch": 1}


def test_a_new_task_stays_when_there_is_nowhere_else(program):
    made = program("alder")
    made.executors["alder"].break_down(RuntimeError("x"))
    task = made.task()
    made.launch(task)
    assert task["executor"] == "alder"
    assert made.said(DecisionMade) == []


def test_what_a_worker_must_know_travels_with_each_try(program, tmp_path):
    made = program("alder", traceback_limit=99, redact=f"{__name__}:clean")
    made.launch(made.task())
    told = made.launch_seen
    assert (told.run, told.executor, told.try_id) == (made.run_id, "alder", 0)
    assert (told.traceback_limit, told.redact) == (99, f"{__name__}:clean")


def clean(text):
    return text


# --- ends ---


def test_a_success_is_told_with_where_it_was(program):
    made = program("alder")
    task = made.task()
    made.launch(task)
    made.report(manager="m1")
    made.succeed(task)
    (event,) = made.said(TryEnded)
    assert (event.manager, event.block, event.node, event.worker, event.seconds) == ("m1", "0", "n1", 0, 1.5)
    assert made.session.tries._reports == {}


def test_nothing_is_remembered_of_tasks_that_have_ended(program):
    made = program("alder", retries=1)
    made.see_manager("m1")
    made.see_manager("m2")
    for _ in range(3):
        task = made.task()
        for _ in range(2):
            made.launch(task)
            made.report(ValueError("x"), "m1")
            made.fail(task, ValueError("x"))
    assert made.session.tries._reports == {}
    assert made.session.tries._avoid == {}


# --- the run ---


def test_of_many_threads_that_begin_the_run_one_does(program):
    made = program("alder", whole=True)
    barrier, lives = threading.Barrier(8), []

    def begin():
        barrier.wait()
        lives.append(made.session.begin(made.run_id))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(live) for live in lives}) == 1
    assert len(made.said(RunStarted)) == 1


def test_workers_that_cannot_reach_the_fabric_write_into_the_runs_directory_and_are_passed_on(
    program, tmp_path
):
    made = program("alder", whole=True)
    task = made.task()
    made.launch(task)
    url = made.launch_seen.url
    assert url == f"file:{tmp_path / 'worker_events'}"
    worker = open_fabric(url).publisher("worker", immediate=True)
    worker.publish(TryStarted(run=made.run_id, task=task["id"], try_id=0, executor="alder", manager="m1"))
    worker.close()
    made.session.end()
    assert len(made.said(TryStarted)) == 1
    assert made.picture.managers["m1"].started == 1


def test_without_a_fabric_of_its_own_a_run_writes_into_its_directory(tmp_path):
    session = Session(Settings(), 0, ("alder",))
    session.open(str(tmp_path))
    session.begin("r")
    session.end()
    kinds = [event.kind for event in open_fabric(f"file:{tmp_path / 'events'}").consumer("test").poll()]
    assert kinds == ["run.started", "run.ended"]


def test_a_fabric_that_can_no_longer_be_opened_is_said_without_its_secrets_and_the_run_goes_on(
    tmp_path, caplog
):
    session = Session(Settings(fabric="kafkka://me:hunter2@host"), 0, ("alder",))
    session.open(str(tmp_path))
    live = session.begin("r")
    live.say(TaskSubmitted(task=0, try_id=0, executor="alder", func="f"))
    assert live.picture.tasks[0].func == "f"
    assert len(live.faults) == 1
    said = [event for event in live.fabric.consumer("test").poll() if isinstance(event, ServiceDegraded)]
    assert len(said) == 1
    session.end()
    assert len(caplog.records) == 1
    assert "hunter2" not in caplog.text + str(live.faults) + str(said)


def test_the_beginning_tells_the_settings_without_secrets(tmp_path):
    session = Session(Settings(fabric="memory:beginning?token=hunter2"), 3, ("alder", "birch"))
    session.open(str(tmp_path))
    session.begin("r")
    session.end()
    started, *_ = open_fabric("memory:beginning?token=hunter2").consumer("test", start="earliest").poll()
    assert (started.retries, started.executors, started.run_dir) == (3, ("alder", "birch"), str(tmp_path))
    assert "hunter2" not in str(started.settings)


def test_the_end_stops_the_watching_and_tells_what_was_absorbed(program):
    made = program("alder")
    stopped = []

    class Watched:
        label = "alder"

        def stop_watching(self):
            stopped.append(True)

    made.session.watch(Watched())
    made.session.absorb("scaler", ValueError("odd"))
    made.session.end()
    assert stopped == [True]
    assert [event.faults for event in made.said(RunEnded)] == [{"scaler": 1}]


# --- the model of failures ---


def test_a_model_that_cannot_be_had_is_counted_and_said_once_and_the_run_goes_on(program, tmp_path):
    made = program("alder", whole=True, failure_model=str(tmp_path / "none.json"))
    live = made.session.begin(made.run_id)
    assert made.session.diagnoser.model is None
    assert live.faults == {"model of failures": 1}


def test_a_run_has_the_shipped_model_unless_it_is_switched_off(program):
    for choice, there in (("", True), ("off", False)):
        made = program("alder", whole=True, failure_model=choice)
        made.session.begin(made.run_id)
        assert (made.session.diagnoser.model is not None) is there
