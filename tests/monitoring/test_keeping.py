"""What a run leaves waiting for a service is on the disk, is said, and is handed on by a later one."""

from __future__ import annotations

import logging
import os
import time

import pytest

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.monitoring.keeping import behind_spool, hand_on
from parsl_diaspora.state import Live

pytest.importorskip("confluent_kafka")
NOWHERE = "kafka://127.0.0.1:1/runs"


@pytest.mark.parametrize("scheme", ["memory:", "file:events"])
def test_a_fabric_of_this_host_is_left_as_it_is(scheme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fabric = open_fabric(scheme)
    assert behind_spool(fabric, tmp_path) is fabric
    assert hand_on(fabric) is None


def test_two_services_have_a_spool_each_and_one_service_always_the_same(tmp_path):
    places = [
        behind_spool(open_fabric(url), tmp_path).directory for url in (NOWHERE, NOWHERE, f"{NOWHERE}-other")
    ]
    assert places[0] == places[1] != places[2]
    assert all(place.parent.parent == tmp_path / "spool" for place in places)


def test_each_node_has_a_directory_of_its_own(tmp_path, monkeypatch):
    """On a shared file system thousands of workers would otherwise look at one another's files."""
    fabric = behind_spool(open_fabric(NOWHERE), tmp_path)
    assert fabric.directory.name == os.uname().nodename
    url = fabric.node_url
    assert "/{host}?" in url
    assert open_fabric(url).directory == fabric.directory
    there = os.uname_result(("Linux", "n17", "", "", ""))
    monkeypatch.setattr(os, "uname", lambda: there)
    assert open_fabric(url).directory == fabric.directory.parent / "n17"


def test_what_a_service_has_not_taken_at_the_end_of_a_run_is_said_and_stays(tmp_path, caplog):
    fabric = behind_spool(open_fabric(NOWHERE), tmp_path)
    assert isinstance(fabric, SpooledFabric)
    publisher = fabric.publisher("me")
    publisher.publish(TaskSubmitted(task=7))
    assert publisher.close().safe == 1
    caplog.set_level(logging.WARNING)
    began = time.monotonic()
    hand_on(fabric)
    assert time.monotonic() - began < 15.0
    (said,) = [record.message for record in caplog.records if "of this run wait" in record.message]
    assert said.startswith("parsl_diaspora: 1 events of this run wait in")
    assert f"'spool:{fabric.directory}?to={NOWHERE}'" in said
    again = behind_spool(open_fabric(NOWHERE), tmp_path)
    again.publisher("later")
    assert again.lag() == 1
    again.close()


def test_a_run_is_deaf_while_its_spool_gets_on_no_more(tmp_path):
    """On the disk all is safe at once, so silence of others must be judged by what is handed on."""
    fabric = behind_spool(open_fabric(NOWHERE), tmp_path)
    live = Live(fabric, "r", "me")
    live.say(TaskSubmitted(task=7))
    deadline = time.monotonic() + 5.0
    while live.hears and time.monotonic() < deadline:
        live._look_at_fabric()
        time.sleep(0.05)
    assert not live.hears
    live.stop()
    fabric.close()
