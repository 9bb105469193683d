"""On the worker: the start is told before anything is touched, the end travels back in plain data."""

from __future__ import annotations

import os
import sys
import types

import pytest
from parsl.app.errors import RemoteExceptionWrapper
from parsl.app.python import PythonApp
from parsl.serialize import deserialize, pack_apply_message

from parsl_diaspora import NonRetryable, current_task, open_fabric
from parsl_diaspora.errors import NotInTask
from parsl_diaspora.executors.launch import MAX_DECLINES, Launch, pack, read_report, unseal
from parsl_diaspora.fabric import registry
from parsl_diaspora.monitoring import runner
from parsl_diaspora.monitoring.worker import speaking


def double(number):
    return 2 * number


def divide():
    return 1 / 0


def context():
    return current_task()


def refuse():
    raise NonRetryable("empty file", type="BadInput")


def secret():
    raise ValueError("the password is hunter2")


def odd_name():
    raise ValueError("cannot read " + os.fsdecode(b"caf\xe9"))


def generator():
    return (number for number in range(3))


class Stubborn(Exception):
    def __reduce__(self):
        raise TypeError("I do not travel")


def raise_stubborn():
    raise Stubborn("stuck")


def exit_now():
    sys.exit(3)


def clean(text):
    return text.replace("hunter2", "***")


def run(function, *arguments, **told):
    launch = Launch(**{"run": "r", "task": 7, "try_id": 1, "executor": "alder", **told})
    header, body = unseal(runner.run(pack_apply_message(function, arguments, {}), pack(launch)))
    return read_report(header), body


@pytest.mark.usefixtures("worker")
class TestOnAWorker:
    def test_a_result_comes_back_with_where_it_was_made(self):
        report, body = run(double, 21)
        assert deserialize(body) == 42
        assert (report.manager, report.block, report.worker) == ("m1", "2", 3)
        assert (report.node, report.pid, report.failure) == (os.uname().nodename, os.getpid(), None)
        assert report.seconds >= 0

    def test_the_start_is_told_to_the_fabric(self, tmp_path):
        url = f"file:{tmp_path / 'log'}"
        report, _ = run(double, 1, url=url)
        (event,) = open_fabric(url).consumer("test").poll()
        assert event.kind == "task.try_started"
        assert (event.run, event.task, event.try_id, event.executor) == ("r", 7, 1, "alder")
        assert (event.manager, event.block, event.worker, event.pid) == ("m1", "2", 3, os.getpid())
        assert report.unsaid == ""

    def test_the_start_is_told_before_function_and_arguments_are_touched(self, tmp_path):
        url = f"file:{tmp_path / 'log'}"
        launch = pack(Launch(run="r", task=7, try_id=1, executor="alder", url=url))
        header, _ = unseal(runner.run(b"not even a packed function", launch))
        assert read_report(header).failure.phase == "unpack"
        assert len(open_fabric(url).consumer("test").poll()) == 1

    @pytest.mark.parametrize(
        "function", [divide, PythonApp(divide).func], ids=["raised", "returned by Parsl"]
    )
    def test_an_exception_comes_back_as_it_is_and_as_evidence(self, function):
        report, body = run(function)
        assert type(deserialize(body).get_exception()) is ZeroDivisionError
        assert report.failure.phase == "run"
        assert report.failure.frame.startswith("test_runner.py:divide:")
        assert "ZeroDivisionError" in report.failure.traceback

    def test_the_raisers_verdict_is_part_of_the_evidence(self):
        report, _ = run(refuse)
        assert (report.failure.retryable, report.failure.declared) == (False, "BadInput")

    def test_a_result_that_cannot_travel_is_a_failure_of_its_own_kind(self):
        report, body = run(generator)
        assert report.failure.phase == "pack"
        assert isinstance(deserialize(body).get_exception(), TypeError)

    def test_of_an_exception_that_cannot_travel_the_evidence_still_does(self):
        report, body = run(raise_stubborn)
        assert body == b""
        assert report.failure.type == f"{__name__}.Stubborn"
        assert report.failure.message == "stuck"

    def test_a_function_of_a_module_that_is_missing_here_fails_before_it_begins(self):
        module = types.ModuleType("only_at_home")
        exec("def f(): pass", module.__dict__)
        sys.modules["only_at_home"] = module
        buffer = pack_apply_message(module.f, (), {})
        del sys.modules["only_at_home"]
        launch = pack(Launch(run="r", task=7, try_id=1, executor="alder"))
        header, body = unseal(runner.run(buffer, launch))
        failure = read_report(header).failure
        assert (failure.phase, failure.name) == ("unpack", "only_at_home")
        assert isinstance(deserialize(body).get_exception(), ModuleNotFoundError)

    def test_texts_are_redacted_before_they_leave(self):
        report, _ = run(secret, redact=f"{__name__}:clean")
        assert report.failure.message == "the password is ***"
        assert "hunter2" not in report.failure.traceback

    def test_a_redactor_that_is_missing_here_lets_no_text_out(self):
        report, body = run(secret, redact="only_at_home:clean")
        assert "hunter2" not in report.failure.message + report.failure.traceback
        assert type(deserialize(body).get_exception()) is ValueError

    def test_the_traceback_is_cut_as_asked(self):
        report, _ = run(divide, traceback_limit=40)
        assert len(report.failure.traceback) <= 40

    def test_an_exception_about_a_file_whose_name_is_no_utf8_arrives_as_itself(self):
        report, body = run(odd_name)
        assert type(deserialize(body).get_exception()) is ValueError
        assert report.failure.message == "cannot read caf\\udce9"

    # --- what the app may know ---

    def test_inside_the_app_it_is_known_where_it_runs(self):
        _, body = run(context)
        here = deserialize(body)
        assert (here.run, here.task, here.attempt, here.executor) == ("r", 7, 1, "alder")
        assert (here.block, here.manager, here.node) == ("2", "m1", os.uname().nodename)

    @pytest.mark.parametrize("function", [double, divide, exit_now])
    def test_after_the_app_it_is_no_longer_known_however_it_ended(self, function):
        run(function, *([1] if function is double else []))
        with pytest.raises(NotInTask):
            current_task()

    def test_where_the_system_hides_its_state_tasks_run_all_the_same(self, monkeypatch, caplog):
        def forbidden(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "sched_getaffinity", forbidden)
        report, body = run(double, 21)
        assert (deserialize(body), report.failure) == (42, None)
        assert "not put back" in caplog.text

    # --- handing back ---

    def test_a_try_that_should_avoid_this_manager_is_handed_back_untouched(self, tmp_path):
        url = f"file:{tmp_path / 'log'}"
        report, body = run(divide, url=url, avoid=("m0", "m1"))
        assert report.declined
        assert (report.failure, body) == (None, b"")
        assert open_fabric(url).consumer("test").poll() == []

    def test_a_try_that_was_handed_back_often_enough_runs_all_the_same(self):
        report, body = run(double, 21, avoid=("m1",), declined=MAX_DECLINES)
        assert not report.declined
        assert deserialize(body) == 42

    @pytest.mark.parametrize("level", ["worker:{0.manager}/{0.worker}", "node:{0.node}", "block:{0.block}"])
    def test_a_try_may_avoid_a_worker_a_node_or_a_block(self, level):
        at_home, _ = run(double, 21)
        assert not at_home.declined
        report, body = run(double, 21, avoid=(level.format(at_home),))
        assert (report.declined, body) == (True, b"")

    def test_a_try_that_needs_more_memory_than_is_free_is_handed_back_a_few_times(self):
        assert run(double, 21, memory=2**60)[0].declined
        assert not run(double, 21, memory=2**60, declined=MAX_DECLINES)[0].declined
        assert not run(double, 21, memory=1_000)[0].declined

    def test_a_try_that_should_avoid_others_runs(self):
        report, _ = run(double, 21, avoid=("m9",))
        assert not report.declined

    # --- a fabric in trouble ---

    @pytest.mark.parametrize("url", ["", "kafkka://host", "file:/proc/nowhere", "lacking:its-library"])
    def test_a_fabric_that_cannot_be_had_does_not_stop_the_try_and_is_told_with_its_report(
        self, url, monkeypatch
    ):
        monkeypatch.setitem(registry._BACKENDS, "lacking", "no_such_library:Fabric")
        for _ in range(2):
            report, body = run(double, 21, url=url)
            assert deserialize(body) == 42
            assert report.unsaid

    def test_a_fabric_that_can_no_longer_be_written_is_told_with_the_report(self, tmp_path, monkeypatch):
        url = f"file:{tmp_path / 'log'}"
        report, _ = run(double, 21, url=url)
        assert report.unsaid == ""

        def full(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(speaking.publisher_of(url, "r", "alder")._writer, "append", full)
        report, body = run(double, 21, url=url)
        assert deserialize(body) == 42
        assert "could not write" in report.unsaid


def test_outside_a_task_nothing_is_known():
    with pytest.raises(NotInTask) as raised:
        current_task()
    assert "resilient" in raised.value.hint


def test_a_wrapper_that_an_app_returns_is_what_parsl_makes_of_an_exception():
    assert isinstance(PythonApp(divide).func(), RemoteExceptionWrapper)
