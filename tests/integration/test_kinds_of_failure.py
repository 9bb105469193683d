"""What a task raises is met by its kind: moved, tried again, or failed at once, on real pools."""

from __future__ import annotations

import pytest
from parsl.app.errors import AppTimeout

from parsl_diaspora.errors import ExceptionUnreadable, NonRetryable
from parsl_diaspora.events import DecisionMade, TryFailed
from tests.integration import apps


def rules(events):
    return [event.rule for event in events if isinstance(event, DecisionMade)]


def classes(events):
    return {event.diagnosis.failure_class for event in events if isinstance(event, DecisionMade)}


def test_a_task_that_needs_a_module_moves_to_the_site_that_has_it_and_the_next_ones_go_there_at_once(program):
    modules = program.directory / "modules"
    modules.mkdir()
    (modules / "only_at_one_site.py").write_text("NAME = 'found'\n")
    program.load(program.pool("alder", path=(modules,)), program.pool("birch"))
    assert [apps.needs_module().result(timeout=60) for _ in range(12)] == ["found"] * 12
    found = rules(program.events())
    assert found.count("lacking-elsewhere") <= 1  # none if the first one happened to go where it is
    assert set(found) <= {"lacking-elsewhere", "known-lack", "fares-better", "less-loaded", "explore"}


def test_a_module_that_no_site_has_fails_after_one_try_a_site(program):
    program.load(program.pool("alder"), program.pool("birch"))
    with pytest.raises(ModuleNotFoundError, match="only_at_one_site"):
        apps.needs_module().result(timeout=60)
    assert rules(program.events()) == ["lacking-elsewhere", "lacking-everywhere"]


def test_a_bug_fails_once_two_places_have_proven_it(program):
    program.load(program.pool("alder"), program.pool("birch"), config={"retries": 5})
    with pytest.raises(ZeroDivisionError):
        apps.divide(0).result(timeout=60)
    assert apps.divide(2).result(timeout=60) == 0.5
    assert rules(program.events()) == ["second-opinion-move", "proven-hopeless"]


def test_a_failure_that_passes_is_tried_again(program, tmp_path):
    program.load(program.pool("alder"), config={"retries": 3})
    assert apps.flaky(str(tmp_path / "calls"), 2).result(timeout=60) == 3


def test_a_retry_handler_that_returns_nonsense_costs_one_retry_and_one_that_raises_ends_the_task(
    program, tmp_path
):
    answers = iter(["nonsense", None, ZeroDivisionError("its own")])

    def handler(error, task):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    program.load(program.pool("alder"), config={"retries": 3, "retry_handler": handler})
    assert apps.flaky(str(tmp_path / "calls"), 2).result(timeout=60) == 3
    with pytest.raises(ZeroDivisionError, match="its own"):
        apps.flaky(str(tmp_path / "more calls"), 1).result(timeout=60)
    assert rules(program.events())[-1] == "own-handler-stops"


def test_the_raiser_and_the_decorator_can_say_that_trying_again_is_no_use(program):
    program.load(program.pool("alder"), config={"retries": 5})
    with pytest.raises(NonRetryable, match="calibration") as raised:
        apps.raise_non_retryable().result(timeout=60)
    assert raised.value.type == "BadInput"
    with pytest.raises(KeyError):
        apps.raise_key_error().result(timeout=60)
    assert rules(program.events()) == ["raiser-knows-best", "listed-non-retryable"]


def test_an_exception_or_result_that_cannot_travel_is_an_ordinary_failure_and_the_executor_goes_on(program):
    program.load(program.pool("alder"), retries={"application": 0, "serialization": 0})
    with pytest.raises(ExceptionUnreadable, match="1 and 2"):
        apps.raise_unpicklable().result(timeout=60)
    with pytest.raises(TypeError, match="pickle"):
        apps.return_generator().result(timeout=60)
    assert apps.spin(3, 0.0).result(timeout=60) == 9


def test_a_walltime_is_its_own_class(program):
    program.load(program.pool("alder"), retries={"walltime": 0})
    with pytest.raises(AppTimeout):
        apps.too_long().result(timeout=60)
    assert classes(program.events()) == {"walltime"}


def test_a_bash_app_is_diagnosed_by_what_it_raised(program):
    program.load(program.pool("alder"), retries={"application": 0})
    assert apps.shell("true").result(timeout=60) == 0
    with pytest.raises(Exception, match="exit code 3"):
        apps.shell("exit 3").result(timeout=60)
    (failed,) = [event for event in program.events() if isinstance(event, TryFailed)]
    assert failed.failure.exit_code == 3
