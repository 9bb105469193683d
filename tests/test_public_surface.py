"""What the package offers, and what it costs to import."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import parsl_diaspora

PUBLIC = [
    "DiasporaError",
    "NonRetryable",
    "RetryAfter",
    "Settings",
    "TaskCancelled",
    "cancel",
    "current_task",
    "drain",
    "hold",
    "open_fabric",
    "release",
    "resilience",
    "resilient",
]


def imported_by(*statements):
    """Names of all modules in a fresh interpreter after each statement."""
    looks = "; ".join(f"{statement}; looks.append(sorted(sys.modules))" for statement in statements)
    code = f"import json, sys; looks = []; {looks}; print(json.dumps(looks))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return [set(look) for look in json.loads(done.stdout)]


def test_public_names_are_these():
    assert sorted(parsl_diaspora.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_documented(name):
    assert getattr(parsl_diaspora, name).__doc__
    assert name in dir(parsl_diaspora)


def test_executors_for_direct_use_are_these():
    from parsl_diaspora import executors

    assert sorted(executors.__all__) == ["ResilientHighThroughputExecutor", "ResilientMPIExecutor"]
    for name in executors.__all__:
        assert getattr(executors, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'ResilientExecutor'"):
        executors.ResilientExecutor  # noqa: B018


def test_public_names_are_there_for_a_star_import():
    names = {}
    exec("from parsl_diaspora import *", names)
    assert set(PUBLIC) <= set(names)


def test_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'resilent'"):
        parsl_diaspora.resilent  # noqa: B018


def test_version_has_the_usual_form():
    assert parsl_diaspora.__version__.split(".")[0].isdigit()


def test_importing_the_package_loads_nothing_of_others():
    (loaded,) = imported_by("import parsl_diaspora")
    others = {"parsl", "msgspec", "numpy", "kafka", "confluent_kafka", "yaml", "rich", "psutil", "zmq"}
    assert not others & loaded
    assert {name for name in loaded if name.startswith("parsl_diaspora")} == {"parsl_diaspora"}


def test_events_and_fabrics_need_neither_parsl_nor_yaml():
    (loaded,) = imported_by("from parsl_diaspora import open_fabric, Settings, NonRetryable")
    assert not {"parsl", "yaml", "rich", "numpy"} & loaded


def test_worker_pays_only_for_the_runner():
    # Parsl's worker has loaded all of the package `parsl` before it meets a task: that imports itself whole.
    before, after = imported_by(
        "import parsl.executors.high_throughput.process_worker_pool",
        "import parsl_diaspora.monitoring.runner",
    )
    new = after - before
    assert "parsl_diaspora.monitoring.runner" in new
    assert not {name for name in new if name.startswith("parsl.")}
    assert not {"rich", "yaml", "numpy", "pandas", "hypothesis", "pytest"} & new
    ours = {".".join(name.split(".")[:2]) for name in new if name.startswith("parsl_diaspora.")}
    higher = {"cli", "configure", "recovery", "scaling", "testing"}
    assert not {f"parsl_diaspora.{name}" for name in higher} & ours
    assert not {"parsl_diaspora.executors.htex", "parsl_diaspora.executors.mixin"} & new
