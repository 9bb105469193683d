"""What travels is what Parsl would send and read, whatever is in it."""

from __future__ import annotations

import decimal
import sys

import pytest
from parsl.serialize import deserialize

from parsl_diaspora.executors.launch import Report
from parsl_diaspora.monitoring.worker import packing
from tests.monitoring.worker.stage import run_try

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup  # as pytest brings along there


def local_class():
    class Local:
        number = 7

    return Local()


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        5,
        "text",
        [1, 2, [3]],
        {"a": (1, {2})},
        decimal.Decimal("2.5"),
        {"function": len},
        bytearray(b"x"),
    ],
)
def test_results_are_what_parsl_reads(outcome):
    body = packing.pack_result(outcome, Report("2", "m1", 3, "n", 1))
    assert deserialize(body) == outcome


@pytest.mark.parametrize("made", [local_class, lambda: [local_class()], lambda: {"f": lambda: 3}])
def test_results_that_only_dill_can_write_are_written_by_it(made):
    found = deserialize(packing.pack_result(made(), Report("2", "m1", 3, "n", 1)))
    assert type(found).__name__ == type(made()).__name__


class Reducing(Exception):
    def __reduce__(self):
        raise RuntimeError("not me")


def with_generator():
    return ValueError(number for number in ())


def group_with_reducing():
    return ExceptionGroup("several", [ValueError("a"), Reducing("b")])


def group():
    return ExceptionGroup("two", [ValueError("a"), KeyError("b")])


def raise_it(make):
    raise make()


def because(make):
    try:
        raise make()
    except Exception as cause:
        raise ValueError("the outer one") from cause


def circle():
    error = ValueError("round and round")
    error.__cause__ = KeyError("x")
    error.__cause__.__cause__ = error
    raise error


class NoText(Exception):
    def __str__(self):
        raise SystemExit(3)


@pytest.mark.usefixtures("worker")
class TestExceptions:
    @pytest.mark.parametrize("make", [Reducing, with_generator, group_with_reducing])
    def test_of_those_that_cannot_travel_chain_and_traceback_do(self, make):
        report, body = run_try(raise_it, make)
        assert body is None
        assert report.failure.type.endswith(type(make()).__name__)
        assert report.failure.chain[-2:] == ("builtins.Exception", "builtins.BaseException")
        assert "raise_it" in report.failure.traceback
        assert report.failure.frame.startswith("test_packing.py:raise_it:")

    @pytest.mark.parametrize("parsl", [False, True])
    def test_a_cause_that_cannot_travel_does_not_keep_the_exception_from_it(self, parsl):
        report, body = run_try(because, Reducing, parsl=parsl)
        error = body.get_exception()
        assert (type(error), str(error)) == (ValueError, "the outer one")
        assert "Reducing" in report.failure.traceback

    def test_a_group_travels_whole(self):
        report, body = run_try(raise_it, group)
        assert [type(each) for each in body.get_exception().exceptions] == [ValueError, KeyError]
        assert "ValueError: a" in report.failure.traceback

    def test_causes_that_go_in_a_circle_end(self):
        report, _ = run_try(circle)
        assert report.failure.type == "builtins.ValueError"

    def test_one_whose_text_ends_the_process_does_not(self):
        report, _ = run_try(raise_it, NoText)
        assert report.failure.type.endswith("NoText")
