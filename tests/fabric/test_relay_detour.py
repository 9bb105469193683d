"""Events go around a hub that is away, and through it again when it is back."""

from __future__ import annotations

import time

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import ServiceDegraded, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import RelayFabric
from parsl_diaspora.fabric.relay.address import with_detour
from parsl_diaspora.fabric.relay.detour import AWAY_AFTER
from parsl_diaspora.state import read_events
from tests.fabric.disk import no_file_may_grow
from tests.fabric.relay_help import free_port, read_log
from tests.waiting import becomes


def say(publisher, numbers):
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number))


def tasks(directory):
    return [event.task for event in read_log(directory)[0] if isinstance(event, TaskSubmitted)]


def test_events_go_around_a_hub_that_is_killed_and_through_it_when_it_is_back(
    directory, hub, tmp_path, caplog
):
    fabric = open_fabric(with_detour(hub.url, f"file:{tmp_path}/around"))
    publisher = fabric.publisher("s", place={"run": "r"})
    say(publisher, range(3))
    assert publisher.flush().safe == 3
    hub.kill()
    say(publisher, range(3, 6))
    assert publisher.flush(10).safe >= 6
    assert tasks(tmp_path / "around") == [3, 4, 5]
    started = time.monotonic()
    say(publisher, range(6, 8))
    assert becomes(lambda: publisher.flush(10).waiting == 0)  # what is said of the way comes a moment later
    assert time.monotonic() - started < AWAY_AFTER, "each event waits for a hub that is known to be away"
    assert tasks(tmp_path / "around") == [3, 4, 5, 6, 7]
    hub.start()

    def is_back():
        say(publisher, [8])
        publisher.flush(10)
        return 8 in tasks(directory)

    assert becomes(is_back)
    report = publisher.close()
    assert (report.waiting, report.lost) == (0, 0)
    assert tasks(directory)[:3] == [0, 1, 2]
    assert [record.name for record in caplog.records].count("parsl_diaspora.fabric.relay.courier") == 1
    (said,) = [event for event in read_log(tmp_path / "around")[0] if isinstance(event, ServiceDegraded)]
    assert (said.part, said.run, said.source) == ("relay", "r", "s")


def test_event_that_a_frozen_hub_stores_after_all_is_read_once(directory, hub, url, tmp_path):
    publisher = open_fabric(with_detour(hub.url, url)).publisher("s")  # both ways lead into one log
    say(publisher, range(3))
    assert publisher.flush().safe == 3
    hub.freeze()
    say(publisher, range(3, 6))
    assert becomes(lambda: publisher.flush(10).waiting == 0)  # what is said of the way comes a moment later
    hub.thaw()
    assert becomes(lambda: sorted(set(tasks(directory))) == [0, 1, 2, 3, 4, 5])
    publisher.close()
    hub.terminate()
    read = [event.task for event in read_events(open_fabric(url)) if isinstance(event, TaskSubmitted)]
    assert sorted(read) == [0, 1, 2, 3, 4, 5]


def test_immediate_publisher_whose_hub_never_was_there_writes_around_it(keys, tmp_path):
    url = with_detour(f"relay:127.0.0.1:{free_port()}?key={keys / 'client.key'}", f"file:{tmp_path}/around")
    publisher = open_fabric(url).publisher("s", immediate=True)
    started = time.monotonic()
    say(publisher, range(5))
    assert time.monotonic() - started < 2, "publishing waits for a hub that is away"
    assert becomes(lambda: tasks(tmp_path / "around") == [0, 1, 2, 3, 4])
    publisher.close()


def test_close_takes_the_way_around_at_once(keys, tmp_path):
    url = with_detour(f"relay:127.0.0.1:{free_port()}?key={keys / 'client.key'}", f"file:{tmp_path}/around")
    publisher = open_fabric(url).publisher("s")
    say(publisher, range(5))
    report = publisher.close(0.1)
    assert (report.safe >= 5, report.waiting, report.lost) == (True, 0, 0)
    assert tasks(tmp_path / "around") == [0, 1, 2, 3, 4]


def test_events_wait_while_neither_way_is_open_and_count_as_lost_nowhere(directory, hub, keys, tmp_path):
    publisher = open_fabric(with_detour(hub.url, f"file:{tmp_path}/around")).publisher("s")
    say(publisher, [0])
    assert publisher.flush().safe == 1
    hub.kill()
    with no_file_may_grow():
        say(publisher, range(1, 4))
        report = publisher.flush(2.5)
        assert (report.safe, report.waiting, report.lost) == (1, 3, 0)
    assert becomes(lambda: publisher.flush(10).waiting == 0)  # what is said of the way comes a moment later
    assert publisher.close().lost == 0
    assert tasks(directory) + tasks(tmp_path / "around") == [0, 1, 2, 3]


def test_worker_that_cannot_read_the_keys_publishes_the_other_way(tmp_path):
    url = with_detour("relay:127.0.0.1:4000?key=/nowhere/client.key", f"file:{tmp_path}/around")
    publisher = open_fabric(url).publisher("s", immediate=True)
    say(publisher, [7])
    publisher.close()
    assert tasks(tmp_path / "around") == [7]
    with pytest.raises(FabricError, match="cannot be read"):
        open_fabric("relay:127.0.0.1:4000?key=/nowhere/client.key").publisher("s")


def test_other_way_stands_in_the_url_as_it_is(keys):
    fabric = RelayFabric(f"relay:n1:4000?key={keys}/client.key&else=spool:/s?limit=1MB&to=file:/x?a=b&else=c")
    assert fabric.url == fabric.node_url
    assert fabric.url.endswith("&else=spool:/s?limit=1MB&to=file:/x?a=b&else=c")
