"""resilient(config): the same configuration, hardened; nothing that the program set is lost."""

from __future__ import annotations

import inspect
import logging
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsl import Config, HighThroughputExecutor, ThreadPoolExecutor
from parsl.data_provider.ftp import FTPSeparateTaskStaging
from parsl.dataflow.dependency_resolvers import DEEP_DEPENDENCY_RESOLVER
from parsl.dataflow.memoization import BasicMemoizer
from parsl.executors import MPIExecutor
from parsl.executors.errors import InvalidResourceSpecification
from parsl.executors.high_throughput.manager_selector import BlockIdManagerSelector
from parsl.jobs.error_handlers import noop_error_handler, simple_error_handler, windowed_error_handler
from parsl.launchers import SimpleLauncher
from parsl.logconfigs.noop import NoopLogging
from parsl.monitoring import MonitoringHub
from parsl.monitoring.radios.udp import UDPRadio
from parsl.providers import LocalProvider

from parsl_diaspora import Settings, resilient
from parsl_diaspora.errors import CheckpointError, ConfigurationError, FabricError, SettingsError
from parsl_diaspora.executors import ResilientHighThroughputExecutor, ResilientMPIExecutor
from parsl_diaspora.monitoring.deciding.retries import RetryHandler

PROVIDER = LocalProvider(init_blocks=2, max_blocks=5, worker_init="module load science")
SELECTOR = BlockIdManagerSelector()
RADIO = UDPRadio(address="127.0.0.1")
STAGING = [FTPSeparateTaskStaging()]


def own_handler(executor, status):
    pass


class Unhashable:
    """A block error handler that compares by value, as dataclasses do."""

    __hash__ = None

    def __eq__(self, other):
        return True

    def __call__(self, executor, status):
        pass


UNHASHABLE = Unhashable()

#: Each argument of the stock constructor, with a value that is not its default.
OTHER_VALUES = {
    "label": "cpu",
    "provider": PROVIDER,
    "launch_cmd": "process_worker_pool.py --mine",
    "interchange_launch_cmd": ["my_interchange.py", "--fast"],
    "address": "127.0.0.1",
    "loopback_address": "127.0.0.2",
    "worker_port": 40_001,
    "worker_port_range": (40_000, 40_100),
    "interchange_port_range": (40_100, 40_200),
    "storage_access": STAGING,
    "working_dir": "/scratch/work",
    "worker_debug": True,
    "cores_per_worker": 0.5,
    "mem_per_worker": 2.5,
    "max_workers_per_node": 3,
    "cpu_affinity": "block",
    "available_accelerators": 2,
    "prefetch_capacity": 4,
    "heartbeat_threshold": 17,
    "heartbeat_period": 3,
    "drain_period": 600,
    "poll_period": 25,
    "address_probe_timeout": 9,
    "worker_logdir_root": "/scratch/logs",
    "manager_selector": SELECTOR,
    "block_error_handler": own_handler,
    "encrypted": False,
    "remote_monitoring_radio": RADIO,
}
STOCK_ARGUMENTS = [
    name for name in inspect.signature(HighThroughputExecutor.__init__).parameters if name != "self"
]


def upgraded(executor, **overrides):
    return resilient(Config(executors=[executor]), Settings(), **overrides).executors[0]


def as_stock(executor):
    return repr(executor).replace("ResilientHighThroughputExecutor(", "HighThroughputExecutor(", 1)


def test_each_argument_of_the_stock_executor_is_looked_at_here():
    assert set(OTHER_VALUES) == set(STOCK_ARGUMENTS)


@pytest.mark.parametrize("name", STOCK_ARGUMENTS)
def test_an_upgraded_executor_keeps_each_argument(name):
    stock = HighThroughputExecutor(**{"address": "127.0.0.1", name: OTHER_VALUES[name]})
    default = HighThroughputExecutor(address="127.0.0.1")
    if name != "address":
        assert getattr(stock, name) != getattr(default, name)
    assert getattr(upgraded(stock), name) == getattr(stock, name)


@given(st.sets(st.sampled_from(STOCK_ARGUMENTS)))
@settings(max_examples=40)
def test_an_upgraded_executor_is_in_all_its_parts_what_the_stock_one_was(names):
    stock = HighThroughputExecutor(**{"address": "127.0.0.1", **{name: OTHER_VALUES[name] for name in names}})
    hardened = upgraded(stock)
    ours = {"link", "_block_id_counter", "_executor_bad_state", "_result_queue_thread_exit"}
    before = {name: value for name, value in vars(stock).items() if name not in ours}
    after = {name: value for name, value in vars(hardened).items() if name not in ours}
    radio = before.pop("remote_monitoring_radio"), after.pop("remote_monitoring_radio")
    assert type(radio[0]) is type(radio[1])
    assert after == before


def test_the_repr_that_parsl_writes_to_its_log_is_as_the_stock_ones():
    stock = HighThroughputExecutor(
        label="cpu", address="127.0.0.1", max_workers_per_node=3, provider=PROVIDER
    )
    assert as_stock(upgraded(stock)) == repr(stock)
    assert as_stock(ResilientHighThroughputExecutor(**OTHER_VALUES)) == repr(
        HighThroughputExecutor(**OTHER_VALUES)
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (True, simple_error_handler),
        (False, noop_error_handler),
        (simple_error_handler, simple_error_handler),
        (windowed_error_handler, windowed_error_handler),
        (own_handler, own_handler),
        (UNHASHABLE, UNHASHABLE),
    ],
)
def test_a_block_error_handler_is_kept_however_it_was_given(given, kept):
    stock = HighThroughputExecutor(address="127.0.0.1", block_error_handler=given)
    assert upgraded(stock).block_error_handler is kept


def test_an_executor_of_another_kind_is_left_as_it_is_and_a_kin_of_ours_is_named_in_the_log(caplog):
    class OwnExecutor(HighThroughputExecutor):
        pass

    for executor in (ThreadPoolExecutor(label="threads"), OwnExecutor(label="own", address="127.0.0.1")):
        assert upgraded(executor) is executor
    (record,) = caplog.records
    assert "executor 'own' is a OwnExecutor" in record.getMessage()
    assert "from ResilientHighThroughputExecutor" in record.getMessage()


def test_what_others_set_on_the_finished_executor_is_kept():
    stock = HighThroughputExecutor(address="127.0.0.1")
    stock._check_python_mismatch = False
    assert upgraded(stock)._check_python_mismatch is False
    assert upgraded(HighThroughputExecutor(address="127.0.0.1"))._check_python_mismatch is True


# --- the MPI executor ---

MPI_PROVIDER = LocalProvider(init_blocks=2, nodes_per_block=4, launcher=SimpleLauncher())
MPI_VALUES = {
    **OTHER_VALUES,
    "provider": MPI_PROVIDER,
    "interchange_launch_cmd": "my_interchange.py",
    "max_workers_per_block": 3,
    "mpi_launcher": "srun",
    "encrypted": True,
}
MPI_ARGUMENTS = [name for name in inspect.signature(MPIExecutor.__init__).parameters if name != "self"]


def mpi(**arguments):
    provider = LocalProvider(launcher=SimpleLauncher())
    return MPIExecutor(**{"address": "127.0.0.1", "provider": provider, **arguments})


def test_each_argument_of_the_mpi_executor_is_looked_at_here():
    assert set(MPI_ARGUMENTS) <= set(MPI_VALUES)


@pytest.mark.parametrize("name", MPI_ARGUMENTS)
def test_an_upgraded_mpi_executor_keeps_each_argument(name):
    stock = mpi(**{name: MPI_VALUES[name]})
    if name not in ("address", "provider"):
        assert getattr(stock, name) != getattr(mpi(), name)
    hardened = upgraded(stock)
    assert type(hardened) is ResilientMPIExecutor
    assert getattr(hardened, name) == getattr(stock, name)


def test_an_upgraded_mpi_executor_is_in_all_its_parts_what_the_stock_one_was():
    stock = mpi(**{name: MPI_VALUES[name] for name in MPI_ARGUMENTS})
    hardened = upgraded(stock)
    ours = {"link", "_block_id_counter", "_executor_bad_state", "_result_queue_thread_exit"}
    before = {name: value for name, value in vars(stock).items() if name not in ours}
    after = {name: value for name, value in vars(hardened).items() if name not in ours}
    assert after == before
    assert repr(hardened) == repr(stock).replace("MPIExecutor(", "ResilientMPIExecutor(", 1)
    assert hardened.monitor_resources() is False
    assert mpi().encrypted is upgraded(mpi()).encrypted is False


def test_an_upgraded_mpi_executor_asks_for_a_resource_specification_as_stock_does():
    hardened = upgraded(mpi())
    with pytest.raises(InvalidResourceSpecification):
        hardened.submit(print, {})
    with pytest.raises(InvalidResourceSpecification):
        hardened.submit(print, {"cores": 3})
    specification = {"num_nodes": 2, "ranks_per_node": 3}
    hardened.validate_resource_spec(specification)
    assert specification["num_ranks"] == "6"


def test_a_class_derived_from_the_mpi_executor_is_named_in_the_log(caplog):
    class OwnMPI(MPIExecutor):
        pass

    own = OwnMPI(address="127.0.0.1", provider=LocalProvider(launcher=SimpleLauncher()))
    assert upgraded(own) is own
    assert "from ResilientMPIExecutor" in caplog.text


def test_a_hardened_executor_that_was_given_is_used_itself_and_becomes_part_of_the_run():
    given = ResilientHighThroughputExecutor(label="cpu", address="127.0.0.1")
    assert upgraded(given) is given
    assert given.link is not None


def test_all_executors_of_one_configuration_are_part_of_the_same_run():
    config = Config(executors=[HighThroughputExecutor(label=name, address="127.0.0.1") for name in "ab"])
    first, second = resilient(config).executors
    assert first.link is second.link


# --- the rest of the configuration ---

#: Each argument of Config, with a value that is not its default.
CONFIG_VALUES = {
    "executors": (ThreadPoolExecutor(label="threads"),),
    "memoizer": BasicMemoizer(memoize=False),
    "dependency_resolver": DEEP_DEPENDENCY_RESOLVER,
    "exit_mode": "wait",
    "garbage_collect": False,
    "internal_tasks_max_threads": 3,
    "retries": 4,
    "retry_handler": lambda error, task: 1.0,
    "run_dir": "elsewhere",
    "std_autopath": lambda task, kind: "somewhere",
    "strategy": "htex_auto_scale",
    "strategy_period": 0.5,
    "max_idletime": 7.0,
    "monitoring": MonitoringHub(workflow_name="study", resource_monitoring_enabled=False),
    "usage_tracking": 1,
    "project_name": "study",
    "initialize_logging": NoopLogging(),
}
WRAPPED = {"executors", "memoizer", "retry_handler", "monitoring"}


def test_each_argument_of_config_is_looked_at_here():
    assert set(CONFIG_VALUES) == set(inspect.signature(Config.__init__).parameters) - {"self"}


@pytest.mark.parametrize("name", sorted(set(CONFIG_VALUES) - WRAPPED))
def test_the_new_configuration_keeps_each_setting(name):
    config = Config(**{name: CONFIG_VALUES[name]})
    assert getattr(config, name) != getattr(Config(), name)
    assert getattr(resilient(config), name) == CONFIG_VALUES[name]


def test_the_given_configuration_is_left_as_it_was():
    config = Config(**CONFIG_VALUES)
    before = {**vars(config)}
    resilient(config)
    assert vars(config) == before


def test_the_programs_own_parts_work_on_inside_ours():
    config = Config(**CONFIG_VALUES)
    new = resilient(config)
    assert new.memoizer.inner is config.memoizer
    assert new.monitoring.inner is config.monitoring
    assert new.monitoring.workflow_name == "study"
    assert new.retry_handler is not config.retry_handler


def test_a_program_without_monitoring_gets_none():
    assert resilient(Config()).monitoring is None


def test_what_parsl_writes_to_its_log_of_the_configuration_holds_no_secret():
    new = resilient(Config(), redact="tests.test_configure:own_handler", fabric="memory:secret-name")
    assert isinstance(new.retry_handler, RetryHandler)
    assert "secret-name" not in repr(new)


# --- settings ---


def test_settings_come_from_an_object_a_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "settings.yaml"
    file.write_text("max_tries: 3\n")
    monkeypatch.setenv("PARSL_DIASPORA_MAX_TRIES", "4")

    def max_tries(*given, **overrides):
        executor = HighThroughputExecutor(address="127.0.0.1")
        return (
            resilient(Config(executors=[executor]), *given, **overrides).executors[0].link.settings.max_tries
        )

    assert max_tries(Settings(max_tries=2)) == 2
    assert max_tries(file) == 3
    assert max_tries(str(file)) == 3
    assert max_tries() == 4
    assert max_tries(file, max_tries=5) == 5


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"max_tires": 3}, SettingsError, "max_tries"),
        ({"retries": {"memroy": 3}}, SettingsError, "memory"),
        ({"fabric": "kafkka://host"}, FabricError, "kafkka"),
        ({"fabric": "file:/proc/nowhere"}, FabricError, "/proc/nowhere"),
        ({"redact": "no_such_module:clean"}, SettingsError, "no_such_module"),
        ({"redact": "os.path"}, SettingsError, "package.module:function"),
        ({"diagnoser": "no_such_module:ask"}, SettingsError, "no_such_module"),
        ({"failure_model": "no_such_model.json"}, SettingsError, "no_such_model.json"),
        ({"settings": 7}, ConfigurationError, "not 7"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(wrong, kind, words):
    with pytest.raises(kind) as raised:
        resilient(Config(), **wrong)
    assert words in str(raised.value)


@pytest.mark.parametrize("config", [None, {}, HighThroughputExecutor(address="127.0.0.1"), Config])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(ConfigurationError, match=r"parsl\.Config"):
        resilient(config)


def test_a_configuration_is_made_resilient_once():
    with pytest.raises(ConfigurationError, match="already"):
        resilient(resilient(Config()))


def test_a_fabric_that_was_named_is_opened_at_once_and_its_path_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = upgraded(HighThroughputExecutor(address="127.0.0.1"), fabric="file:./log")
    assert executor.link.settings.fabric == f"file:{tmp_path / 'log'}"


def test_nothing_is_started_and_nothing_is_logged(caplog):
    with caplog.at_level(logging.INFO, logger="parsl_diaspora"):
        executor = upgraded(HighThroughputExecutor(address="127.0.0.1"))
    assert executor.interchange_proc is None
    assert caplog.records == []


# --- policies ---

NAMES_LARGE = {
    "rules": [{"name": "big", "do": {"try": "other executor", "to": "large"}, "reason": "it is small"}]
}


def test_a_relative_path_of_a_policy_is_settled_and_what_is_wrong_in_it_is_found_at_once(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text("max_tries: 5")
    made = resilient(Config(executors=[ThreadPoolExecutor(label="cpu")]), policy="policy.yaml")
    assert made.retry_handler._session.settings.policy == str(tmp_path / "policy.yaml")
    (tmp_path / "policy.yaml").write_text("max_tires: 5")
    with pytest.raises(SettingsError, match=r"policy.yaml, line 1"):
        resilient(Config(executors=[ThreadPoolExecutor(label="cpu")]), policy="policy.yaml")


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": NAMES_LARGE},
        {
            "policy": {
                "rules": [
                    {"name": "a", "do": {"wait": {"for": "executor:large", "at_most": 9}}, "reason": "b"}
                ]
            }
        },
        {"sites": {"large": "alder"}},
    ],
    ids=["to", "wait", "sites"],
)
def test_an_executor_that_is_not_there_is_refused_with_the_nearest_that_is(settings):
    executors = [ThreadPoolExecutor(label="small"), ThreadPoolExecutor(label="larger")]
    with pytest.raises(SettingsError, match="'large', which is no executor") as raised:
        resilient(Config(executors=executors), **settings)
    assert "Did you mean 'larger'?" in raised.value.hint


def test_executors_that_are_there_may_be_named():
    executors = [ThreadPoolExecutor(label="small"), ThreadPoolExecutor(label="large")]
    assert resilient(Config(executors=executors), policy=NAMES_LARGE, sites={"large": "alder"})


def test_a_fabric_that_was_tried_leaves_nothing_at_work(tmp_path):
    before = set(threading.enumerate())
    resilient(Config(), fabric=f"spool:{tmp_path / 'spool'}?to=file:{tmp_path / 'events'}")
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert [name for name in left if name != "diaspora-syncer"] == []


def test_a_store_of_checkpoints_that_nothing_knows_is_found_at_once():
    with pytest.raises(CheckpointError, match="nosuch"):
        resilient(Config(executors=[ThreadPoolExecutor()]), checkpoint={"store": "nosuch://bucket/states"})
