"""Where a run's relay listens, and when a run has one at all."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import TryStarted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import RelayFabric
from parsl_diaspora.monitoring import orders
from parsl_diaspora.monitoring.relay import addresses_for, open_relay


def pool(label="near", *, address=None, loopback="127.0.0.1", is_local=True):
    return SimpleNamespace(label=label, address=address, loopback_address=loopback, is_local=is_local)


@pytest.mark.parametrize(
    ("made", "setting", "address"),
    [
        (pool(), "on", "127.0.0.1:0"),
        (pool(loopback="::1"), "on", "[::1]:0"),
        (pool(address="10.1.2.3"), "on", "10.1.2.3:0"),
        (pool(address="fd00::1", is_local=False), "auto", "[fd00::1]:0"),
        (pool(address="0.0.0.0"), "on", "0.0.0.0:0"),
        (pool(is_local=False), "on", None),
        (pool(is_local=False), "10.0.0.1:4000", "10.0.0.1:4000"),
        (pool(address="10.1.2.3"), "10.0.0.1", "10.0.0.1"),
    ],
)
def test_relay_listens_where_the_executor_or_the_setting_says_and_never_everywhere_by_itself(
    made, setting, address
):
    assert addresses_for(setting, [made]).get("near") == address


@pytest.mark.parametrize(
    ("setting", "pools", "fabric"),
    [
        ("off", [pool()], "memory:"),
        ("on", [], "memory:"),
        ("auto", [pool()], "file:/nowhere"),
        ("auto", [pool(is_local=False)], "memory:"),
    ],
)
def test_run_that_needs_none_has_none(tmp_path, setting, pools, fabric):
    assert open_relay(setting, open_fabric(fabric), tmp_path, pools, None) is None
    assert list(tmp_path.iterdir()) == []


def test_relay_that_is_asked_for_and_has_no_address_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(FabricError, match="workers of far") as caught:
        open_relay("on", open_fabric("memory:"), tmp_path, [pool(), pool("far", is_local=False)], None)
    assert "relay='10.0.0.1'" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_executors_with_addresses_of_their_own_share_one_hub(tmp_path):
    fabric = open_fabric("memory:")
    pools = [pool("a", address="127.0.0.1"), pool("b", address="127.0.0.2"), pool("c")]
    relay = open_relay("on", fabric, tmp_path, pools, None)
    try:
        urls = [relay.url_for(label) for label in "abc"]
        assert urls[0] == urls[2] != urls[1]
        assert (":127.0.0.1:" in urls[0], ":127.0.0.2:" in urls[1]) == (True, True)
        for number, url in enumerate(urls):
            publisher = open_fabric(url).publisher("worker")
            publisher.publish(TryStarted(task=number, pid=1))
            assert publisher.close().safe == 1
    finally:
        relay.close()
    assert [event.task for event in fabric.consumer("c").poll()] == [0, 1, 2]
    assert [relay.url_for(label) for label in "abc"] == [None, None, None]
    assert list(tmp_path.iterdir()) == []
    fabric.publisher("still open").publish(TryStarted(task=3, pid=1))


def test_threads_of_a_relay_end_with_it(tmp_path):
    before = set(threading.enumerate())
    descriptors = len(os.listdir("/proc/self/fd"))
    open_relay("on", open_fabric("memory:"), tmp_path, [pool()], None).close()
    assert set(threading.enumerate()) <= before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_forked_child_that_ends_leaves_the_relay_to_its_parent(tmp_path):
    relay = open_relay("on", open_fabric("memory:"), tmp_path, [pool()], None)
    try:
        if (child := os.fork()) == 0:
            relay.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert relay.is_serving
        publisher = open_fabric(relay.url_for("near")).publisher("worker")
        publisher.publish(TryStarted(task=1, pid=1))
        assert publisher.close().safe == 1
    finally:
        relay.close()


def test_order_goes_to_whoever_takes_its_kind(tmp_path):
    relay = open_relay("on", open_fabric("memory:"), tmp_path, [pool()], None)
    heard = []
    orders.take_orders("note", heard.append)
    publisher = RelayFabric(relay.url_for("near")).publisher(
        "worker:n1:7", on_order=orders.take, place={"pid": 7}
    )
    try:
        ticket = relay.order({"pid": 7}, {"kind": "note", "text": "hello"})
        assert ticket.wait(10)
        assert (ticket.answers(), heard) == ({"worker:n1:7": ""}, [{"kind": "note", "text": "hello"}])
        odd = relay.order("worker:n1:7", {"text": "of no kind"})
        assert odd.wait(10)
        assert "Nobody takes orders of kind None" in odd.answers()["worker:n1:7"]
    finally:
        orders.forget_orders("note")
        publisher.close()
        relay.close()
