"""What a release of Parsl has lost is named once, and the part that rests on it stays out of the way."""

from __future__ import annotations

import pytest

from parsl_diaspora.executors import seams
from parsl_diaspora.executors.errors import SeamMissing
from parsl_diaspora.executors.seams import SEAMS, missing_parts


@pytest.fixture
def faults():
    return []


def look(faults):
    return missing_parts(lambda part, error: faults.append((part, error)), "alder")


def lose(monkeypatch, *parts):
    changed = tuple(each._replace(is_there=lambda: False) if each.part in parts else each for each in SEAMS)
    monkeypatch.setattr(seams, "SEAMS", changed)


def test_with_this_release_nothing_is_missing(faults):
    assert look(faults) == frozenset()
    assert faults == []


@pytest.mark.parametrize("part", sorted({each.part for each in SEAMS}))
def test_what_is_missing_is_named_once_with_what_is_not_done_without_it(monkeypatch, faults, part):
    lose(monkeypatch, part)
    assert look(faults) == {part}
    ((said_part, error),) = faults
    assert said_part == f"{part} of alder"
    assert isinstance(error, SeamMissing)
    for each in SEAMS:
        if each.part == part:
            assert each.name in error.seam
            assert each.name in str(error)
            assert each.without in str(error)


def test_what_cannot_even_be_looked_for_is_missing(monkeypatch, faults):
    def fails():
        raise AttributeError("no module of that name")

    monkeypatch.setattr(seams, "SEAMS", (SEAMS[0]._replace(is_there=fails),))
    assert look(faults) == {SEAMS[0].part}


class Lacking:
    """Stands for a class of Parsl that has lost what we need."""

    def run(self):
        return self.something_else


@pytest.mark.parametrize(
    "check",
    [
        seams._uses(Lacking, "zmq_socket"),
        seams._has(Lacking, "start"),
        seams._says(Lacking.run, "task_executor"),
        seams._says(None, "task_executor"),
    ],
)
def test_a_check_finds_that_something_is_gone(check):
    assert check() is False


def test_a_check_finds_what_is_there():
    assert seams._uses(Lacking, "something_else")()
    assert seams._has(Lacking, "run")()
