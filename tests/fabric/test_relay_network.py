"""The network between nodes and the relay is cut, slow, or swallows what it should carry."""

from __future__ import annotations

import os
import random
import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.testing.history import HistoryReader, Notes, check
from parsl_diaspora.testing.history.actors import Writer, play
from tests.fabric.bad_link import DOWN, UP, BadLink
from tests.fabric.relay_help import HubProcess, new_seed

BOTH = frozenset({UP, DOWN})
RECONNECTS = 10.0  # seconds: a try each half second, a silent hub given up after 1, 2, then 4


@pytest.fixture
def link(hub):
    link = BadLink(int(hub.url.partition("?")[0].rpartition(":")[2]))
    yield link
    link.close()


@pytest.fixture
def through(link, keys):
    return f"relay:127.0.0.1:{link.port}?key={keys / 'client.key'}"


def judged(place, url, names):
    """The verdict over what these writers noted and a reader of the log behind the hub gets."""
    with Notes(place / "reader") as notes:
        HistoryReader(open_fabric(url).consumer("reader"), "reader", notes).drain(quiet=0.2)
    return check([place / name for name in (*names, "reader")])


def writers(url, place, seconds, count=3):
    return [
        Writer(
            name=f"w{number}",
            url=url,
            notes=str(place / f"w{number}"),
            seed=number,
            seconds=seconds,
            immediate=number == 1,
        )
        for number in range(count)
    ]


def hold(place, url, actors, within, faults):
    """Writers write while faults happen to the network; everything they were told is safe is there."""
    with ThreadPoolExecutor(1) as stage:
        acts = stage.submit(play, actors, 100.0, within)
        faults()
        acts.result()
    verdict = judged(place, url, [actor.name for actor in actors])
    print(verdict)
    assert verdict.holds, str(verdict)
    assert verdict.safe == verdict.read
    assert verdict.safe > 500
    assert verify(place / "events").whole


def spoil(link, fault):
    if fault == "cut":
        link.cut()
    elif fault == "reset":
        link.reset()
    elif fault == "away":
        link.refuses = True
        link.reset()
    elif fault == "slow":
        link.delay = 0.02
    elif fault == "stalled":
        link.stalled = BOTH
    else:
        link.vanishing = {"vanish": BOTH, "deaf": frozenset({UP}), "dumb": frozenset({DOWN})}[fault]


def test_link_that_fails_in_any_way_loses_doubles_and_mixes_nothing(tmp_path, url, link, through):
    chance = random.Random(new_seed())
    faults = ["cut", "reset", "away", "slow", "stalled", "vanish", "deaf", "dumb"]
    chance.shuffle(faults)

    def happen():
        for fault in faults:
            time.sleep(chance.uniform(0.1, 0.3))
            spoil(link, fault)
            time.sleep(chance.uniform(0.1, 0.4))
            link.heal()
            if fault in ("vanish", "deaf", "dumb"):
                link.reset()  # bytes are missing in the middle of the stream

    hold(tmp_path, url, writers(through, tmp_path, 4.5), (), happen)


@pytest.mark.parametrize("fault", ["cut", "reset", "away", "stalled", "vanish", "deaf", "dumb"])
def test_publisher_comes_back_by_itself_in_bounded_time(link, through, fault):
    publisher = open_fabric(through).publisher("s")
    publisher.publish(TaskSubmitted(task=0))
    assert publisher.flush(10).safe == 1
    spoil(link, fault)
    for number in range(1, 200):
        publisher.publish(TaskSubmitted(task=number))
    publisher.flush(0.5)
    link.heal()
    started = time.monotonic()
    report = publisher.flush(2 * RECONNECTS)
    print(f"back after {time.monotonic() - started:.2f} s")
    assert (report.safe, report.waiting, report.lost) == (200, 0, 0)
    assert time.monotonic() - started < RECONNECTS
    publisher.close()


def test_acknowledgements_that_vanish_store_nothing_twice(directory, url, link, through):
    publisher = open_fabric(through).publisher("s")
    publisher.publish(TaskSubmitted(task=0))
    assert publisher.flush(10).safe == 1
    link.vanishing = frozenset({DOWN})
    for number in range(1, 100):
        publisher.publish(TaskSubmitted(task=number))
        publisher.flush(0.001)
    reader = open_fabric(url).consumer("reader")
    met = reader.poll(2.0) + reader.poll(0.5)
    assert len(met) > 10  # they are stored, as many as may be under way, and the publisher does not know
    assert publisher.flush(0.1).safe < len(met)
    link.heal()
    link.reset()
    assert publisher.flush(20).safe == 100
    publisher.close()
    met += reader.poll(0.2)
    assert [event.task for event in met] == list(range(100))
    assert verify(directory).duplicates == 0


def test_stalled_link_costs_the_hub_and_the_publisher_bounded_memory_and_others_nothing(
    hub, keys, link, through
):
    slow = open_fabric(through).publisher("slow", buffer=2000)
    friend = open_fabric(hub.url).publisher("friend")
    for publisher in (slow, friend):
        publisher.publish(TaskSubmitted())
        assert publisher.flush(10).safe == 1
    link.stalled = frozenset({DOWN})  # the hub's answers are not taken
    process = psutil.Process(hub.process.pid)
    before, own = process.memory_info().rss, psutil.Process().memory_info().rss
    for _ in range(20):
        for number in range(1000):
            slow.publish(TaskSubmitted(task=number, func="x" * 5000))
        slow.flush(0.02)
        friend.publish(TaskSubmitted())
        assert friend.flush(5).waiting == 0
    report = slow.flush(0.0)
    assert report.waiting <= 2000
    assert report.lost > 10_000
    assert process.memory_info().rss - before < 50_000_000
    assert psutil.Process().memory_info().rss - own < 100_000_000
    friend.close()
    link.heal()
    link.reset()
    slow.flush(20)
    end = slow.close()
    assert end.waiting == 0


# --- hosts of their own -----------------------------------------------------------------------------------


class Node:
    """A network namespace that is linked with this host by a pair of interfaces."""

    def __init__(self) -> None:
        tag = secrets.token_hex(3)
        self.name, self._here, self._there = f"node-{tag}", f"pd{tag}a", f"pd{tag}b"
        octet = secrets.randbelow(200) + 20
        self.hub_address, address = f"10.213.{octet}.1", f"10.213.{octet}.2"
        _ip("netns", "add", self.name)
        _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", self.name)
        _ip("addr", "add", f"{self.hub_address}/30", "dev", self._here)
        _ip("-n", self.name, "addr", "add", f"{address}/30", "dev", self._there)
        _ip("-n", self.name, "link", "set", "lo", "up")
        _ip("-n", self.name, "link", "set", self._there, "up")
        self.connect()

    @property
    def within(self):
        return ["ip", "netns", "exec", self.name]

    def connect(self) -> None:
        _ip("link", "set", self._here, "up")

    def disconnect(self) -> None:
        _ip("link", "set", self._here, "down")

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self._here], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


def _ip(*arguments) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)


@pytest.fixture
def node():
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    try:
        node = Node()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespace can be made here: {getattr(error, 'stderr', '') or error}")
    yield node
    node.close()


@pytest.mark.parametrize("cuts", [[0.3, 1.5, 0.1], pytest.param([12.0, 0.2, 5.0], marks=pytest.mark.slow)])
def test_node_that_is_cut_off_from_the_relay_loses_nothing_and_comes_back(tmp_path, url, keys, node, cuts):
    hub = HubProcess(url, keys, host=node.hub_address)
    try:
        actors = writers(hub.url, tmp_path, sum(cuts) + 2.0)

        def happen():
            time.sleep(0.7)
            for seconds in cuts:
                node.disconnect()
                time.sleep(seconds)
                node.connect()
                time.sleep(0.5)

        hold(tmp_path, url, actors, node.within, happen)
    finally:
        hub.close()


def test_hub_that_dies_while_the_node_is_cut_off_is_found_again(tmp_path, url, keys, node):
    hub = HubProcess(url, keys, host=node.hub_address)
    try:

        def happen():
            time.sleep(1.0)
            node.disconnect()
            hub.kill()
            hub.start()
            time.sleep(0.3)
            node.connect()

        hold(tmp_path, url, writers(hub.url, tmp_path, 3.0), node.within, happen)
    finally:
        hub.close()
