"""A task whose dependency failed says what the root cause was, and how to see it."""

from __future__ import annotations

import itertools

import pytest
from parsl.dataflow.errors import DependencyError, JoinError

from parsl_diaspora.monitoring.deciding.propagated import root_task, tell_root

RUN = "c38a0c1a-3d4a-4fe4"


def chain(*tasks, root=None):
    """Each task waits for the one before it, and the first has failed."""
    error = root or ZeroDivisionError("division by zero")
    for before, task in itertools.pairwise(tasks):
        error = DependencyError([(error, f"task {before}")], task)
    return error


def test_the_root_is_named_with_its_app_and_what_it_raised():
    error = chain(3, 5)
    tell_root(error, RUN, {3: "simulate"})
    assert str(error) == (
        "Task 5 never ran, because task 3 (simulate) failed with ZeroDivisionError: division by zero. "
        "See: parsl-diaspora explain c38a0c1a 3"
    )
    assert isinstance(error, DependencyError)
    assert error.dependent_exceptions_tids[0][1] == "task 3"


def test_the_way_to_the_root_is_told_when_it_is_long():
    error = chain(1, 4, 7, 9)
    tell_root(error, RUN, {})
    assert "Task 9 never ran, because task 1 failed with" in str(error)
    assert "by way of task 4, task 7" in str(error)
    assert root_task(error) == 1


def test_others_that_failed_beside_it_are_counted():
    error = DependencyError([(ValueError("x"), "task 1"), (ValueError("y"), "task 2")], 3)
    tell_root(error, RUN, {})
    assert "1 more of what it waits for failed, too" in str(error)


def test_a_join_app_failed_because_of_its_inner_tasks():
    error = JoinError([(ValueError("x"), "task 1")], 3)
    tell_root(error, RUN, {1: "inner"})
    assert isinstance(error, JoinError)
    assert "Task 3 failed, because task 1 (inner) failed with ValueError: x" in str(error)


def test_a_future_of_another_kind_has_no_number():
    error = DependencyError([(ValueError("x"), "<Future at 0x7>")], 3)
    tell_root(error, RUN, {})
    assert "what it waits for failed with ValueError: x" in str(error)
    assert root_task(error) is None


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("y")])
def test_other_errors_are_left_alone(error):
    words = str(error)
    tell_root(error, RUN, {})
    assert str(error) == words
    assert root_task(error) is None


def test_a_root_whose_words_cannot_be_had_does_no_harm():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError

    error = chain(1, 2, root=Odd())
    tell_root(error, RUN, {})
    assert "task 1 failed with" in str(error)
