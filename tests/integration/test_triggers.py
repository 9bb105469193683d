"""Triggers of real runs: a failure calls a function and starts an app, and the run's end is told."""

from __future__ import annotations

import threading

import parsl
import pytest
from parsl import Config, ThreadPoolExecutor, python_app

from parsl_diaspora import resilient
from parsl_diaspora.errors import PatternError, SettingsError
from parsl_diaspora.events import RunEnded, ServiceDegraded, TaskEnded, TriggerFailed, TriggerFired, TryFailed
from parsl_diaspora.trigger_settings import Action, Trigger

FAILED = {"kind": ["task.try_failed"], "failure": {"chain": ["builtins.ZeroDivisionError"]}}


@python_app
def divide(number: int) -> float:
    """Fail for 0."""
    return 1 / number


@python_app
def clean_up(event: dict) -> str:
    """What a trigger starts; on a worker."""
    import os
    from pathlib import Path

    with Path(os.environ["CLEANED"]).open("a") as file:
        file.write(f"{event['task']} {event['failure']['chain'][0]}\n")
    return event["id"]


@python_app
def fail_again(event: dict) -> None:
    """What a trigger starts fails in the very way that started it."""
    del event
    raise ZeroDivisionError


def trigger(name, *, pattern=FAILED, **action):
    return Trigger(name=name, pattern=pattern, action=Action(**action), retries=0)


def wait_for(condition):
    done = threading.Event()
    for _ in range(600):
        if condition():
            return
        done.wait(0.05)
    raise AssertionError("it did not happen within 30 s")


def test_failure_on_a_real_pool_calls_a_function_and_starts_an_app(program, tmp_path, monkeypatch):
    monkeypatch.setenv("CLEANED", str(tmp_path / "cleaned"))
    called, ends = [], []
    program.load(
        program.pool("near"),
        triggers=[
            trigger("call", call=lambda event: called.append(event["task"])),
            trigger("app", app=clean_up),
            trigger("end", pattern={"kind": ["run.ended"]}, call=lambda event: ends.append(event["failed"])),
        ],
        retries={"application": 0},
    )
    futures = [divide(number) for number in (1, 0, 2)]
    assert [future.exception(60) is None for future in futures] == [True, False, True]
    wait_for((tmp_path / "cleaned").exists)
    events = program.events()

    assert (called, ends) == ([1], [1])
    assert (tmp_path / "cleaned").read_text() == "1 builtins.ZeroDivisionError\n"
    fired = {event.trigger: event for event in events if isinstance(event, TriggerFired)}
    assert set(fired) == {"call", "app", "end"}
    (failed,) = [event for event in events if isinstance(event, TryFailed)]
    assert fired["app"].cause == fired["call"].cause == (failed.id,)
    assert not [event for event in events if isinstance(event, (TriggerFailed, ServiceDegraded))]


@pytest.fixture
def threads(tmp_path):
    """Load a program whose tasks run in threads of this process."""

    def load(*triggers, **settings):
        config = Config(executors=[ThreadPoolExecutor(label="threads")], run_dir=str(tmp_path / "runinfo"))
        return parsl.load(resilient(config, triggers=list(triggers), retries={"application": 0}, **settings))

    yield load
    parsl.clear()


def events_of(tmp_path):
    from parsl_diaspora import open_fabric
    from parsl_diaspora.state import read_events

    return list(read_events(open_fabric(f"file:{tmp_path}/runinfo/000/events")))


def test_app_that_fails_in_the_way_that_started_it_is_not_started_for_itself(threads, tmp_path):
    kernel = threads(trigger("again", app=fail_again))
    assert divide(0).exception(60) is not None
    wait_for(lambda: kernel.task_count == 2)
    kernel.cleanup()
    events = events_of(tmp_path)
    assert len([event for event in events if isinstance(event, TaskEnded)]) == 2
    (letter,) = [event for event in events if isinstance(event, TriggerFailed)]
    assert letter.why.startswith("ZeroDivisionError")


def test_triggers_leave_a_run_as_it_is_whatever_they_do(threads, tmp_path):
    def act(event):
        raise SystemExit(3)

    kernel = threads(trigger("bad", pattern={"kind": [{"exists": True}]}, call=act))
    assert divide(2).result(60) == 0.5
    kernel.cleanup()
    events = events_of(tmp_path)
    assert [event.done for event in events if isinstance(event, RunEnded)] == [1]
    letters = [event for event in events if isinstance(event, TriggerFailed)]
    assert {letter.event_kind for letter in letters} >= {
        "run.started",
        "task.submitted",
        "task.ended",
        "run.ended",
    }


def test_run_without_triggers_has_no_engine(threads):
    kernel = threads()
    assert divide(2).result(60) == 0.5
    assert not [thread for thread in threading.enumerate() if "triggers" in thread.name]
    kernel.cleanup()


def test_wrong_trigger_is_found_before_anything_runs(tmp_path):
    config = Config(executors=[ThreadPoolExecutor()], run_dir=str(tmp_path / "runinfo"))
    with pytest.raises(PatternError, match="prefx"):
        resilient(config, triggers=[trigger("t", pattern={"a": [{"prefx": "b"}]}, call=print)])
    with pytest.raises(SettingsError, match="no_such_module"):
        resilient(config, triggers=[trigger("t", call="no_such_module:f")])
