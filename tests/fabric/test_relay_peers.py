"""Peers that are stopped, or gone: what they cost the hub and the others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import make_keys
from parsl_diaspora.fabric.relay.desk import Desk
from parsl_diaspora.fabric.relay.orders import Board
from parsl_diaspora.fabric.relay.peers import SILENCE
from parsl_diaspora.fabric.relay.wire import Hello
from tests.fabric.relay_help import HubProcess

MB = 1_000_000
_TAKER = """
import sys
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric.relay import RelayFabric
publisher = RelayFabric(sys.argv[1]).publisher("taker", on_order=lambda order: None)
publisher.publish(TaskSubmitted(task=1))
assert publisher.flush(10).safe == 1
print("up", flush=True)
for line in sys.stdin:
    publisher.publish(TaskSubmitted(task=2))
    print(publisher.flush(20).waiting, flush=True)
"""


@pytest.fixture
def hub(url, tmp_path):
    hub = HubProcess(url, make_keys(tmp_path / "keys").parent, "--follow-stdin")
    yield hub
    hub.close()


@pytest.fixture
def taker(hub):
    with subprocess.Popen(
        [sys.executable, "-c", _TAKER, hub.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        yield process
        process.send_signal(signal.SIGCONT)
        process.kill()


def test_stopped_client_with_many_orders_costs_bounded_memory_and_nobody_elses_time(hub, taker):
    memory = psutil.Process(hub.process.pid)
    before = memory.memory_info().rss
    taker.send_signal(signal.SIGSTOP)
    order = json.dumps({"to": "taker", "message": {"kind": "note", "text": "x" * 50_000}}).encode() + b"\n"
    orders = 600
    for _ in range(orders):
        hub.process.stdin.write(order)
    hub.process.stdin.flush()
    time.sleep(2.5)  # they are sent again each second
    waiting = memory.memory_info().rss - before
    assert waiting < 3 * orders * len(order), f"{waiting / MB:.0f} MB"
    publisher = open_fabric(hub.url).publisher("other")
    started = time.monotonic()
    for number in range(2000):
        publisher.publish(TaskSubmitted(task=number))
    assert publisher.flush(20).safe == 2000
    assert time.monotonic() - started < 10
    time.sleep(2.5)
    assert memory.memory_info().rss - before < waiting + 30 * MB, "each time they are sent again costs memory"
    publisher.close()
    taker.send_signal(signal.SIGCONT)
    taker.stdin.write("\n")
    taker.stdin.flush()
    assert taker.stdout.readline() == "0\n", "a client that goes on after a stop gets no acknowledgement"


def test_peers_that_are_gone_are_forgotten_though_no_order_waits():
    class Nothing:
        def last_events(self):
            return {}

    desk = Desk(None, Nothing(), Board())
    now = time.monotonic()
    for number in range(1000):
        desk._peers.note(b"%d" % number, Hello(f"{number:016x}", "worker", {}, True), now)
    desk.give_orders(now + SILENCE - 1)
    assert len(desk._peers) == 1000
    desk.give_orders(now + SILENCE + 10)
    assert len(desk._peers) == 0
