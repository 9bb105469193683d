"""What the package offers, and what it costs to import."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import parsl_diaspora
from parsl_diaspora import events

PUBLIC = [
    "Checkpoint",
    "CheckpointSpec",
    "DiasporaError",
    "NonRetryable",
    "PoolSpec",
    "ResilientPoolProvider",
    "RetryAfter",
    "Settings",
    "SiteSpec",
    "StateFile",
    "TaskCancelled",
    "cancel",
    "current_task",
    "drain",
    "hold",
    "migrate",
    "open_fabric",
    "release",
    "resilience",
    "resilient",
]

#: What packages offer to others, by name. Those that are not here offer their modules only.
OF_PACKAGES = {
    "checkpoint": (
        "DirectoryLevel Fetched Following Heard Identity Interval Level Manifest Restored Round Save Saved "
        "Saver StateFile Store best_interval open_level restore"
    ),
    "checkpoint.programs": "Look Looks Watch WholeFile looks_of read_whole remove_others",
    "checkpoint.state": "Leaf Piece StateFile check_likeness flatten rebuild room_for",
    "checkpoint.store": "ChunkRef DirectoryLevel Level Manifest Save Store open_level",
    "cli.demo": "add_arguments run",
    "cli.pools": "add_arguments run",
    "cli.top": "add_arguments run",
    "events.kinds": "KINDS",
    "executors": "PoolExecutor ResilientHighThroughputExecutor ResilientMPIExecutor",
    "executors.watch": "PATIENCE_WITH_NEIGHBOURS Watch Watched",
    "fabric": "Consumer Fabric FlushReport Publisher Start open_fabric",
    "fabric.bridge": "Bridge BridgeStatus Filter Reduction fabric_id",
    "fabric.diaspora_stream": (
        "Framed NO_MORE StreamConsumer StreamFabric StreamPublisher join_frame split_frame"
    ),
    "fabric.file": "FileFabric",
    "fabric.kafka": "KafkaFabric",
    "fabric.octopus": "OctopusFabric",
    "fabric.relay": "Hub RelayFabric RelayPublisher Ticket make_keys",
    "fabric.spool": "HOST SpoolReport SpooledFabric open_spool",
    "fabric.triggers": ("Counts Handler Maker Mismatch Pattern TriggerEngine Voice find make_handler plain"),
    "failures": (
        "CLASSES Context Diagnoser FailureClass current_name describe diagnose got_on is_infrastructure"
    ),
    "failures.model": "LearnedModel Weights model_for read_weights shipped",
    "scaling.simulator": "Outcome Scenario scenario_of simulate",
    "providers": "MemberHealth ResilientPoolProvider",
    "recovery": (
        "Budgets Chosen Count Delay Do Options Policy Quarantine Resize Rest Rule Situation Wait When "
        "built_in choose decide options_of resilience"
    ),
    "state": (
        "Dedupe HeldTask HeldTasks History Hold Holds Live ManagerState Picture TaskState TryState "
        "read_events read_history"
    ),
    "testing.fabric_contract": "FabricContract",
    "testing.faults": "LONG_TASK Outcome SCENARIOS SIX Scenario play play_all",
    "testing.history": (
        "HistoryReader HistoryWriter Notes Verdict check judge read_notes sealed_event sealed_number"
    ),
    "testing.provocations": "PROVOCATIONS Provocation named of_class",
}
EVENTS = "Diagnosis Event Failure KINDS Lesson Unknown decode decode_many encode join split"


def packages():
    """All packages below ours, imported."""
    found = pkgutil.walk_packages(parsl_diaspora.__path__, "parsl_diaspora.")
    return [importlib.import_module(each.name) for each in found if each.ispkg]


def offered(module):
    """What can be imported from a package, its modules aside."""
    names = {name for name in vars(module) if name[0] not in "_@"}  # pytest adds names with an @
    modules = {name for name in names if f"{module.__name__}.{name}" in sys.modules}
    return {*(names - modules), *getattr(module, "__all__", ())}


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


def test_packages_offer_these_names_and_no_others():
    names = {module.__name__.removeprefix("parsl_diaspora."): module for module in packages()}
    kinds = {kind.__name__ for kind in events.KINDS.values()}
    expected = {name: set(OF_PACKAGES.get(name, "").split()) for name in names}
    expected["events"] = {*EVENTS.split(), *kinds}
    assert set(OF_PACKAGES) <= set(names)
    assert {name: offered(module) for name, module in names.items()} == expected


def test_nothing_but_the_public_names_can_be_imported_from_the_package():
    code = "import parsl_diaspora; print([name for name in vars(parsl_diaspora) if name[0] != '_'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"  # public names are loaded when they are first used


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_documented(name):
    assert getattr(parsl_diaspora, name).__doc__
    assert name in dir(parsl_diaspora)


def test_executors_for_direct_use_are_these():
    from parsl_diaspora import executors

    assert sorted(executors.__all__) == [
        "PoolExecutor",
        "ResilientHighThroughputExecutor",
        "ResilientMPIExecutor",
    ]
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
