"""Two sites on this host for the ptychography example: plain Parsl, but that blocks may have a walltime."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import parsl
from parsl.executors import HighThroughputExecutor
from parsl.launchers.base import Launcher
from parsl.providers import LocalProvider

from parsl_diaspora.testing.processes import worker_init

HERE = Path(__file__).parent
#: Sites with their workers. Four tasks find six, so there is room when a task is moved.
SITES = {"alder": 3, "birch": 3}
GRACE = 3  # seconds between SIGTERM and SIGKILL at the end of a walltime


class Walltime(Launcher):
    """Ends a block of this host as a batch system does: SIGTERM at its time, then SIGKILL."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds

    def __call__(self, command: str, tasks_per_node: int, nodes_per_block: int, script_dir: str = "") -> str:
        """The block's command with its clock. The block is a process group of its own, which 0 stands for."""
        del tasks_per_node, nodes_per_block, script_dir
        return f"""\
export PARSL_DIASPORA_BLOCK_ENDS=$(($(date +%s) + {self.seconds}))
( trap 'kill $nap; exit' TERM; sleep {self.seconds} & nap=$!; wait $nap
  trap '' TERM; kill -TERM 0; sleep {GRACE}; kill -KILL 0 ) &
clock=$!
{command}
code=$?; kill $clock; exit $code"""


def configuration(run_dir: Path, mark: str, walltime: int | None = None) -> parsl.Config:
    """Two sites, as stock executors of Parsl; blocks of birch end after so many seconds."""
    executors = [
        HighThroughputExecutor(
            label=label,
            address="127.0.0.1",
            loopback_address="127.0.0.1",
            encrypted=True,
            interchange_launch_cmd=interchange(),
            heartbeat_period=1,
            heartbeat_threshold=8,
            max_workers_per_node=workers,
            cores_per_worker=0.01,
            provider=provider(environment(mark, label), walltime if label == "birch" else None),
        )
        for label, workers in SITES.items()
    ]
    return parsl.Config(executors=executors, run_dir=str(run_dir), strategy="none", strategy_period=0.5)


def provider(worker_init: str, walltime: int | None = None) -> LocalProvider:
    """Blocks on this host, which end after so many seconds."""
    launcher = {"launcher": Walltime(walltime)} if walltime is not None else {}
    return LocalProvider(init_blocks=1, min_blocks=1, max_blocks=2, worker_init=worker_init, **launcher)


def environment(mark: str, site: str) -> str:
    """What workers need: a mark by which they are found and killed, the model, and one thread each."""
    paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    variables = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }
    return worker_init(mark, site, variables)


def interchange() -> list[str] | None:
    """How to start the interchange where its script is not on PATH."""
    script = Path(sysconfig.get_path("scripts"), "interchange.py")
    return None if shutil.which("interchange.py") else [sys.executable, str(script)]
