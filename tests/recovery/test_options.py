"""@resilience: what the author of an app says reaches the decision, however Parsl has wrapped the app."""

from __future__ import annotations

import subprocess
import sys

import dill
import pytest
from parsl import bash_app, join_app, python_app
from parsl.app.python import timeout

from parsl_diaspora import Checkpoint, resilience
from parsl_diaspora.errors import SettingsError
from parsl_diaspora.recovery import Options, options_of
from parsl_diaspora.recovery.options import original


class Odd(Exception):
    pass


def plain(seed):
    return seed


def command(seed):
    return f"echo {seed}"


WANTED = Options(retries={"memory": 3}, non_retryable=(f"{__name__}.Odd",), max_tries=5)


def marked():
    return resilience(retries={"memory": 3}, non_retryable=(Odd,), max_tries=5)


def fresh(function):
    """A function of its own, so that one test's mark is not another's."""
    made = type(function)(function.__code__, function.__globals__, function.__name__)
    made.__qualname__ = function.__qualname__
    return made


def submitted(app):
    """The function that Parsl puts into the task record of an app."""
    return getattr(app, "wrapped_remote_function", None) or app.func


@pytest.mark.parametrize("decorator", [python_app, join_app, bash_app])
@pytest.mark.parametrize("outside", [True, False], ids=["outside", "inside"])
def test_it_works_on_either_side_of_parsls_decorator(decorator, outside):
    function = fresh(command)
    app = marked()(decorator(function)) if outside else decorator(marked()(function))
    assert options_of(submitted(app)) == WANTED
    assert type(app).__name__ in ("PythonApp", "BashApp")


@pytest.mark.parametrize("outside", [True, False], ids=["outside", "inside"])
def test_it_is_found_through_the_wrapper_that_watches_a_walltime(outside):
    function = fresh(plain)
    app = marked()(python_app(function)) if outside else python_app(marked()(function))
    assert options_of(timeout(submitted(app), 10)) == WANTED


@pytest.mark.parametrize("decorator", [python_app, bash_app])
def test_an_app_without_it_has_no_options(decorator):
    assert options_of(submitted(decorator(fresh(plain)))) == Options()


def test_the_authors_function_is_found_under_all_wrappers():
    function, shell = fresh(plain), fresh(command)
    assert original(timeout(python_app(function).func, 10)) is function
    assert original(bash_app(shell).wrapped_remote_function) is shell


def test_the_function_itself_works_as_before():
    assert marked()(fresh(plain))(7) == 7


def test_a_number_of_retries_is_the_applications_budget():
    app = python_app(resilience(retries=4)(fresh(plain)))
    assert options_of(app.func) == Options(retries={"application": 4})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"retries": {"memroy": 3}}, "Did you mean 'memory'?"),
        ({"retries": {"memory": -1}}, "a number from 0"),
        ({"retries": -1}, "a number from 0"),
        ({"retries": {"memory": "3"}}, "a number from 0"),
        ({"max_tries": 0}, "at least 1"),
        ({"non_retryable": "ValueError"}, "no exception"),
    ],
)
def test_what_cannot_be_meant_is_an_error_where_it_is_written(wrong, words):
    with pytest.raises(SettingsError) as raised:
        resilience(**wrong)
    assert "@resilience" in str(raised.value)
    assert words in str(raised.value)


def test_a_decorator_without_its_parentheses_is_an_error_that_says_so():
    with pytest.raises(SettingsError, match="without its parentheses"):
        resilience(fresh(plain))


def test_one_exception_is_as_good_as_a_tuple_of_one():
    app = resilience(non_retryable=ValueError)(fresh(plain))
    assert options_of(app).non_retryable == ("builtins.ValueError",)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        (False, None),
        (True, Checkpoint()),
        ("auto", Checkpoint(interval="auto")),
        ("30s", Checkpoint(interval="30s")),
        (2, Checkpoint(interval="2")),
        (Checkpoint(key="k-{seed}", keep=3), Checkpoint(key="k-{seed}", keep=3)),
    ],
)
def test_how_an_app_is_saved_is_said_in_short_or_in_full(given, meant):
    app = python_app(resilience(checkpoint=given)(fresh(plain)))
    assert options_of(app.func).checkpoint == meant


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: [1], "cannot be"),
        (lambda: "sometimes", "interval"),
        (lambda: "0s", "more than 0"),
        (lambda: -1, "interval"),
        (lambda: Checkpoint(keep=-1), "at least 1"),
        (lambda: Checkpoint(signal="SIGNONE"), "SIGUSR1"),
        (lambda: Checkpoint(interval="often"), "interval"),
    ],
)
def test_a_way_to_save_that_cannot_be_meant_is_an_error_with_a_hint(wrong, words):
    with pytest.raises(SettingsError, match=words) as raised:
        resilience(checkpoint=wrong())
    assert raised.value.hint


def test_a_decorated_function_travels_to_workers_that_lack_this_package():
    packed = dill.dumps(marked()(fresh(plain)), recurse=True, byref=False)
    program = (
        f"import sys, builtins, dill\nsys.modules['parsl_diaspora'] = None\nprint(dill.loads({packed!r})(42))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "42", done.stderr


def test_an_object_that_answers_to_every_name_does_not_hang_the_decision():
    class Agreeable:
        def __getattr__(self, name):
            if name == "__parsl_diaspora__":
                raise AttributeError(name)
            return Agreeable()

        def __call__(self):
            return None

    assert options_of(Agreeable()) == Options()
