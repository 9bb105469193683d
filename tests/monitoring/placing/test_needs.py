"""What a function's code tells of what it needs."""

from __future__ import annotations

import msgspec

from parsl_diaspora.monitoring.placing.needs import Distributions, identity_of, modules_of


def helper():
    import torch

    return torch


def uses_helper():
    return helper()


def uses_global():
    return msgspec.json


def test_imports_inside_the_code_are_found_and_the_standard_library_is_everywhere():
    def train():
        import json

        from sklearn.svm import SVC

        from . import sibling

        return [import_late() for _ in range(2)], SVC, json, sibling

    def import_late():
        import torch

        return torch

    assert modules_of(train) == {"sklearn", "torch"}


def test_helpers_of_the_same_module_and_modules_that_are_imported_around_count_too():
    assert modules_of(uses_helper) == {"torch"}
    assert modules_of(uses_global) == {"msgspec"}


def test_what_is_no_plain_function_needs_nothing_that_is_known():
    assert modules_of(print) == frozenset()
    assert identity_of(print) == "builtins.print"


def make(divisor):
    source = f"def simulate(x):\n    return x / {divisor}\n"
    names = {"__name__": "campaign"}
    exec(source, names)
    return names["simulate"]


def test_a_function_that_was_changed_is_another_one_and_one_that_was_moved_is_not():
    assert identity_of(make(2)) == identity_of(make(2)) != identity_of(make(3))
    assert identity_of(make(2)).startswith("campaign.simulate#")


def test_a_package_of_another_name_is_found_on_this_host():
    distributions = Distributions()
    distributions._read()
    assert "import-linter" in distributions.of("importlinter")
    assert distributions.of("no_such_module") == {"no-such-module"}
