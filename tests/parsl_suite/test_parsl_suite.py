"""Parsl's own tests end with this package as they end without it."""

from __future__ import annotations

import pytest

from tests.parsl_suite.__main__ import compare
from tests.parsl_suite.campaigns import CONFIGS
from tests.parsl_suite.comparison import Comparison

QUICK = ("test_python_apps", "test_docs", "test_error_handling", "test_callables.py")
#: They ask servers elsewhere for files, or wait for time to pass.
NOT_QUICK = ("-k", "not staging and not walltime")

# The suite's runs are processes of their own; each has time limits for its tests.
pytestmark = pytest.mark.timeout(5400)


def check(comparison):
    print(Comparison.table([comparison]), comparison.details(), sep="\n")
    assert set(comparison.ours.executors) & {"ResilientHighThroughputExecutor", "ThreadPoolExecutor"}
    assert "HighThroughputExecutor" not in comparison.ours.executors
    assert [f"{each.test}: {each.stock} -> {each.ours}" for each in comparison.differ] == []
    assert comparison.ours.survivors == []


def test_parsls_own_tests_end_alike_on_two_resilient_pools(tmp_path):
    comparison = compare(tmp_path, "two_htex", QUICK, NOT_QUICK)
    check(comparison)
    assert comparison.ours.count("passed") > 60


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS)
def test_all_of_parsls_own_tests_end_alike(tmp_path, config):
    comparison = compare(tmp_path, config)
    check(comparison)
    assert comparison.ours.count("passed") > 100
