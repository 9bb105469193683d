"""A thousand tasks under two hundred kills, and a program whose fabric is dead, comes and goes, or is full.

The seed is printed; SOAK_SEED repeats it, SOAK_TASKS makes the campaigns shorter.
"""

from __future__ import annotations

import os
import threading
import time

import pytest

from parsl_diaspora.cli.main import main
from parsl_diaspora.events import TryFailed
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import make_keys
from parsl_diaspora.state import read_events
from tests.fabric.relay_help import HubProcess, free_port
from tests.small_disk import small_disk
from tests.soak.checks import check_explained, check_log, check_memory, check_program, table
from tests.soak.driver import HOURS, Campaign

pytestmark = [pytest.mark.soak, pytest.mark.timeout(HOURS + 300)]

SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() // 1_000_000_000 % 100_000)
TASKS = int(os.environ.get("SOAK_TASKS", "1000"))
FAULTS = {
    "kill_worker": 100,
    "kill_manager": 40,
    "kill_node": 20,
    "interchange": 20,
    "hub": 14,
    "broker": 6,
}
FEW_FAULTS = {"kill_worker": 24, "kill_manager": 8, "kill_node": 4, "interchange": 4}


def scaled(faults):
    return {name: max(1, count * TASKS // 1000) for name, count in faults.items()}


@pytest.fixture
def campaign(tmp_path):
    def made(fabric, tasks=TASKS, seed=SEED):
        print(f"seed {seed}")
        directory = tmp_path / "campaign"
        directory.mkdir()
        return Campaign(directory, seed, tasks, fabric)

    return made


@pytest.fixture
def hub(tmp_path):
    """A site's hub in front of a fabric, as a process of its own."""
    make_keys(tmp_path / "keys")
    hubs = []

    def made(to):
        hubs.append(HubProcess(to, tmp_path / "keys", port=free_port(), log=tmp_path / "hub.log"))
        return hubs[-1]

    yield made
    for each in hubs:
        each.close()


def relayed(hub, tmp_path):
    return f"spool:{tmp_path / 'spool'}?to=relay:{hub.url.partition(':')[2]}"


def story(url, spool):
    """All events, when what still lay on the disk has arrived."""
    fabric = open_fabric(spool)
    fabric.publisher("soak").close()  # with a publisher it begins to hand on
    assert fabric.drain(120.0)
    fabric.close()
    return list(read_events(open_fabric(url)))


def explain_some(campaign, url, events, capsys):
    tasks = sorted({event.task for event in events if isinstance(event, TryFailed)})
    for task in tasks[:: max(1, len(tasks) // 12)]:
        assert main(["explain", campaign.end()["run"], str(task), "--fabric", url]) == 0
        check_explained(capsys.readouterr().out, events, task)


def check_told(campaign, url, spool, capsys):
    """The log tells all of it, and each decision is explained."""
    events = story(url, spool)
    with capsys.disabled():
        print(f"\n{table(campaign, events)}")
    check_log(campaign, events)
    explain_some(campaign, url, events, capsys)


def test_every_task_ends_once_and_right_under_two_hundred_kills(campaign, hub, kafka, tmp_path, capsys):
    url = kafka.url()
    site = hub(url)
    spool = relayed(site, tmp_path)
    run = campaign(spool)
    run.run(scaled(FAULTS), {"hub": site, "broker": kafka})
    check_program(run)
    check_memory(run)
    check_told(run, url, spool, capsys)


def test_results_are_the_same_when_the_fabric_is_dead_from_the_start(campaign, capsys):
    run = campaign(f"kafka://127.0.0.1:{free_port()}/runs", TASKS * 3 // 10)
    run.run(scaled(FEW_FAULTS))
    check_program(run)
    with capsys.disabled():
        print(f"\n{table(run, [])}")


def test_results_are_the_same_when_the_fabric_comes_and_goes(campaign, hub, tmp_path, capsys):
    url = f"file:{tmp_path / 'events'}"
    site = hub(url)
    spool = relayed(site, tmp_path)
    run = campaign(spool, TASKS * 3 // 10)
    over = threading.Event()

    def flap():
        while not over.wait(3.0):
            site.kill()
            over.wait(2.0)
            site.start()

    flapping = threading.Thread(target=flap, name="flapping")
    flapping.start()
    try:
        run.run(scaled(FEW_FAULTS))
    finally:
        over.set()
        flapping.join()
    check_program(run)
    check_told(run, url, spool, capsys)


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", f"{max(32, TASKS * 256 // 1000)}k") as place:
        yield place


def test_results_are_the_same_when_the_disk_of_the_events_is_full(campaign, disk, capsys):
    run = campaign(f"file:{disk}/events", TASKS * 3 // 10)
    run.run(scaled(FEW_FAULTS))
    check_program(run)
    events = list(read_events(open_fabric(f"file:{disk}/events")))
    assert events, "what fitted can be read"
    warnings = (run.directory / "warnings.log").read_text()
    with capsys.disabled():
        print(f"\n{table(run, events)}\n  said: {warnings.count('space')} times of space")
    assert "space" in warnings
