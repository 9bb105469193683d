"""The hardened MPI executor runs multi-node tasks as the stock one does, and outlives its interchange."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from parsl.executors import MPIExecutor
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider

from parsl_diaspora.events import InterchangeStarted, TryEnded, TryStarted
from parsl_diaspora.executors import ResilientMPIExecutor
from parsl_diaspora.testing.processes import worker_init
from tests.integration import apps
from tests.integration.conftest import ROOT
from tests.integration.looking import LONG, of

_ports = itertools.count(34_500 + os.getpid() % 20 * 100, 50)

#: Stands for an MPI launcher: says what it was asked to do, and does it once.
MPIEXEC = '#!/bin/sh\necho "$0 $*" >> "{log}"\nwhile [ "$1" != "--" ]; do shift; done; shift; exec "$@"\n'


def mpi_pool(program, nodes=("n1", "n2", "n3", "n4")):
    """A stock MPI executor over nodes that exist only in the batch system's list."""
    directory: Path = program.directory
    (directory / "nodes").write_text("\n".join(nodes) + "\n")
    launcher = directory / "bin" / "mpiexec"
    launcher.parent.mkdir()
    launcher.write_text(MPIEXEC.format(log=directory / "launched"))
    launcher.chmod(0o755)
    first = next(_ports)
    environ = {
        "PYTHONPATH": str(ROOT),
        "PBS_NODEFILE": str(directory / "nodes"),
        "PATH": f"{launcher.parent}:{os.environ['PATH']}",
    }
    return MPIExecutor(
        label="mpi",
        address="127.0.0.1",
        worker_port_range=(first, first + 15),
        interchange_port_range=(first + 15, first + 45),
        max_workers_per_block=2,
        heartbeat_period=1,
        heartbeat_threshold=8,
        encrypted=True,
        provider=LocalProvider(
            init_blocks=1,
            max_blocks=1,
            launcher=SimpleLauncher(),
            worker_init=worker_init(program.mark, "mpi", environ),
        ),
    )


def specification(nodes=2, ranks=3):
    return {"num_nodes": nodes, "ranks_per_node": ranks}


@pytest.mark.slow
@pytest.mark.timeout(2 * LONG)
def test_multi_node_tasks_get_their_nodes_and_launcher_and_outlive_the_interchange(program, check_story):
    executor = program.load(mpi_pool(program)).executors["mpi"]
    assert type(executor) is ResilientMPIExecutor

    told = apps.tell_nodes(1, 0.0, parsl_resource_specification=specification()).result(timeout=LONG)
    assert told["PARSL_NUM_NODES"] == "2"
    assert told["PARSL_RANKS_PER_NODE"] == "3"
    assert told["PARSL_NUM_RANKS"] == "6"
    nodes = told["PARSL_MPI_NODELIST"].split(",")
    assert len(nodes) == 2
    assert set(nodes) <= {"n1", "n2", "n3", "n4"}
    prefix = f"mpiexec -n 6 -ppn 3 -hosts {','.join(nodes)}"
    assert told["PARSL_MPI_PREFIX"].strip() == told["PARSL_MPIEXEC_PREFIX"].strip() == prefix

    shell = apps.shell_on_nodes("$PARSL_MPI_PREFIX -- true", parsl_resource_specification=specification(1, 4))
    assert shell.result(timeout=LONG) == 0
    assert "-n 4 -ppn 4 -hosts n" in (program.directory / "launched").read_text()

    futures = [apps.tell_nodes(n, 0.5, parsl_resource_specification=specification()) for n in range(4)]
    executor.interchange_proc.kill()
    assert [future.result(timeout=LONG)["number"] for future in futures] == ["0", "1", "2", "3"]
    events = program.events()
    check_story(events)
    assert len(of(events, InterchangeStarted)) == 1
    assert {event.task for event in of(events, TryStarted)} == {event.task for event in of(events, TryEnded)}


@pytest.mark.timeout(2 * LONG)
def test_a_task_without_a_specification_is_refused_as_by_stock(program):
    program.load(mpi_pool(program))
    with pytest.raises(Exception, match="parsl_resource_specification"):
        apps.spin(1, 0.0).result(timeout=LONG)
