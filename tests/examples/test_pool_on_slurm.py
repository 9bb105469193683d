"""The campaign ends with every result on a real Slurm whose nodes go down and come back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from parsl_diaspora import open_fabric
from parsl_diaspora.events import BlockReleased, BlockRequested, RunEnded, RunStarted, TryEnded, TryFailed
from parsl_diaspora.scaling.simulator import scenario_of, simulate
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import read_events
from tests.services.slurm.provider import worker_init
from tests.waiting import becomes

EXAMPLE = Path(__file__).parents[2] / "examples" / "pool_on_slurm.py"
TASKS = 60


def events_of(directory):
    (log,) = directory.glob("runinfo/*/events")
    return list(read_events(open_fabric(f"file:{log}")))


def ended(directory):
    return sum(isinstance(event, TryEnded) for event in events_of(directory))


@pytest.fixture
def campaign(slurm, tmp_path):
    exports = "\n".join(f"export {name}='{value}'" for name, value in slurm.env.items())
    command = [sys.executable, str(EXAMPLE), "--partitions", "left,right", "--address", "127.0.0.1"]
    command += ["--tasks", str(TASKS), "--seconds", "3", "--points", "2000", "--status-every", "2"]
    command += ["--worker-init", f"{exports}\n{worker_init()}", "--run-dir", str(tmp_path / "runinfo")]
    started = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield started
    if started.poll() is None:
        psutil.Process(started.pid).kill()
    started.communicate()


@pytest.mark.timeout(400)
def test_every_result_comes_while_nodes_go_down_and_come_back(slurm, campaign, tmp_path):
    assert becomes(lambda: list(tmp_path.glob("runinfo/*/events/*")), 60)
    assert becomes(lambda: ended(tmp_path) >= 4, 90)
    slurm.kill_node("n1")
    assert becomes(lambda: ended(tmp_path) >= 16, 120)
    slurm.down("n4")
    assert becomes(lambda: ended(tmp_path) >= 30, 120)
    slurm.start_node("n1")  # which is taken back as soon as it is heard
    slurm.resume("n4")
    out, err = campaign.communicate(timeout=240)
    assert campaign.returncode == 0, err
    assert f"{TASKS} of {TASKS} results" in out
    assert "targets     held" in out
    events = events_of(tmp_path)
    (end,) = [event for event in events if isinstance(event, RunEnded)]
    assert (end.done, end.failed) == (TASKS, 0)
    assert any(isinstance(event, TryFailed) for event in events), "nothing was lost: the nodes were not hit"
    assert all(event.running == 0 for event in events if isinstance(event, BlockReleased))
    assert becomes(lambda: not slurm.jobs(), 30), "a block is left in the queue"
    check_simulation(events)


def check_simulation(events):
    """The same controller, in a simulated world of the same waits, losses and work, does about the same."""
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    spec = Settings.from_dict({"pool": started.settings["pool"]}).pool
    outcome = simulate(spec, scenario_of(events, spec, started.run))
    asked = sum(isinstance(event, BlockRequested) for event in events)
    print(f"blocks asked for: {asked} in the run, {outcome.requests} in the simulation")
    assert outcome.done == TASKS
    assert outcome.killed == 0
    assert abs(outcome.requests - asked) <= max(2, asked // 2)
