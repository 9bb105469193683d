"""A worker that cannot be put back leaves between two tasks, and at no other time."""

from __future__ import annotations

import sys

import pytest

from parsl_diaspora.monitoring.worker import leaving


def manager_is_alive():
    """Named as the function that Parsl's worker calls between two tasks."""
    return True


def other():
    return True


@pytest.fixture(autouse=True)
def no_profiler(monkeypatch):
    monkeypatch.setattr(leaving, "LEAST_LIFE", 0.0)
    before = sys.getprofile()
    sys.setprofile(None)
    yield
    sys.setprofile(before)


def test_it_leaves_when_the_loop_asks_for_its_manager():
    assert leaving.leave_after_this_try()
    assert other()
    with pytest.raises(SystemExit) as left:
        manager_is_alive()
    assert left.value.code == 0
    assert manager_is_alive()


def test_it_stays_when_a_further_try_begins_all_the_same():
    assert leaving.leave_after_this_try()
    leaving.stay()
    assert manager_is_alive()


def test_it_stays_when_it_has_not_lived_long(monkeypatch):
    monkeypatch.setattr(leaving, "LEAST_LIFE", 1e9)
    assert not leaving.leave_after_this_try()
    assert manager_is_alive()


def test_it_stays_when_the_program_profiles():
    calls = []
    sys.setprofile(lambda *call: calls.append(call))
    assert not leaving.leave_after_this_try()
    leaving.stay()
    assert manager_is_alive()
    sys.setprofile(None)
    assert calls
