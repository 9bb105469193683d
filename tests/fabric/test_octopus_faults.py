"""What goes wrong with Octopus: nothing acknowledged is lost, and what is wrong is said."""

from __future__ import annotations

import logging
import os
import time

import pytest

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import EventsLost
from parsl_diaspora.fabric import open_fabric
from tests.fabric.kafka_help import opened, read, say, tasks
from tests.waiting import becomes

WAYS = pytest.mark.parametrize("via", ["kafka", "https"])


def read_when_it_can(reader, count, patience=40.0):
    found = {}
    deadline = time.monotonic() + patience
    while len(found) < count and time.monotonic() < deadline:
        try:
            found.update({event.id: event for event in reader.poll(0.1)})
        except FabricUnavailable:
            time.sleep(0.1)
    return list(found.values())


@WAYS
def test_service_that_is_down_at_first_gets_all_events_when_it_comes(octopus, caplog, via):
    octopus.stop()
    started = time.monotonic()
    with opened(octopus.url(via=via)) as (fabric, publisher):
        say(publisher, range(20))
        assert time.monotonic() - started < 1.0
        assert becomes(lambda: "the web service does not answer" in caplog.text)
        assert fabric.node_url is None
        assert publisher.flush(0.1).waiting == 20
        octopus.start()
        assert publisher.flush(30.0).safe == 20
        assert tasks(read(fabric.consumer("reader"), 20)) == list(range(20))


def test_opening_without_a_namespace_needs_the_service(octopus):
    octopus.stop()
    with pytest.raises(FabricUnavailable, match="does not answer"):
        open_fabric("octopus:?security=plaintext")


@WAYS
def test_error_in_an_answer_with_status_200_is_an_error(octopus, caplog, via):
    octopus.refuse = "your session has ended"
    with opened(octopus.url(via=via)) as (_, publisher):
        say(publisher, range(3))
        assert becomes(lambda: "your session has ended" in caplog.text)
        assert publisher.flush(0.1).waiting == 3
        octopus.refuse = ""
        assert publisher.flush(30.0).safe == 3


@WAYS
def test_topics_that_appear_late_are_waited_for(octopus, via):
    octopus.delay = 0.5
    with opened(octopus.url(via=via)) as (fabric, publisher):
        say(publisher, range(3))
        assert publisher.flush(30.0).safe == 3
        assert tasks(read(fabric.consumer("reader"), 3)) == [0, 1, 2]


def test_throttled_batches_are_sent_again_in_order(octopus, caplog):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
        octopus.throttle = 4
        say(publisher, range(10, 20))
        assert publisher.flush(30.0).safe == 20
        assert "throttling" in caplog.text
        assert tasks(read(fabric.consumer("reader"), 20)) == list(range(20))


def test_batch_whose_end_nobody_knows_is_sent_again_and_read_twice_at_most(octopus):
    octopus.fail = 1
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(5))
        assert publisher.flush(20.0).safe == 5
        events = read(fabric.consumer("reader"), 5)
        assert tasks(events) == list(range(5))
        assert len({(event.boot, event.seq) for event in events}) == 5


def test_records_that_the_service_refuses_for_good_are_counted_and_said(octopus):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(1))
        assert publisher.flush(20.0).safe == 1
        octopus.never = '"task":1'
        say(publisher, range(1, 3))
        assert publisher.flush(20.0).lost == 1
        say(publisher, range(3, 4))  # what was lost is said when the next one has arrived
        report = publisher.flush(20.0)
        assert (report.waiting, report.lost) == (0, 1)
        events = read(fabric.consumer("reader"), 4)
        assert [event.count for event in events if isinstance(event, EventsLost)] == [1]
        assert [task for task in tasks(events) if task is not None] == [0, 2, 3]


def test_records_that_fail_for_now_are_sent_again(octopus):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(1))
        assert publisher.flush(20.0).safe == 1
        octopus.reject = {0: 50302, 3: 50302}
        say(publisher, range(1, 10))
        assert publisher.flush(20.0).safe == 10
        assert tasks(read(fabric.consumer("reader"), 10)) == list(range(10))


def test_instance_that_is_gone_is_made_again_where_we_were(octopus):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        reader = fabric.consumer("reader")
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
        assert tasks(read(reader, 10)) == list(range(10))
        octopus.instances.drop_all()
        reader.commit()  # with what was read from the instance that is gone
        octopus.instances.drop_all()
        say(publisher, range(10, 15))
        publisher.flush(20.0)
        events = []
        assert becomes(lambda: events.extend(reader.poll(0.1)) or len(events) >= 5)
        assert tasks(events) == list(range(10, 15))
        reader.close()
        assert tasks(read(fabric.consumer("reader"), 5)) == list(range(10, 15))


def test_more_consumers_than_the_service_allows_wait_and_say_so(octopus, caplog):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(1))
        publisher.flush(20.0)
        readers = [fabric.consumer(f"reader-{number}", start={}) for number in range(3)]
        extra = [fabric.consumer(f"extra-{number}") for number in range(2)]
        assert "throttling us" in caplog.text
        for reader in readers:
            reader.close()
        assert tasks(read_when_it_can(extra[-1], 1)) == [0]
        for reader in extra:
            reader.close()


@WAYS
def test_topics_that_are_deleted_under_us_are_made_again(octopus, via):
    with opened(octopus.url(via=via)) as (fabric, publisher):
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
        reader = fabric.consumer("reader")
        assert len(read(reader, 10)) == 10
        octopus.delete_topics()
        say(publisher, range(10, 15))
        assert publisher.flush(30.0).safe == 15
        assert tasks(read_when_it_can(reader, 5)) == list(range(10, 15))
        assert reader.skipped() > 0
        reader.close()


@pytest.mark.slow
@WAYS
def test_broker_killed_in_the_middle_loses_nothing_that_was_acknowledged(octopus, via):
    with opened(octopus.url(via=via)) as (fabric, publisher):
        reader = fabric.consumer("reader")
        say(publisher, range(500))
        assert publisher.flush(20.0).safe == 500
        first = read(reader, 100)
        reader.commit()
        say(publisher, range(500, 800))
        octopus.broker.kill()
        say(publisher, range(800, 1000))
        time.sleep(0.5)
        octopus.broker.start()
        report = publisher.flush(60.0)
        assert (report.safe, report.waiting, report.lost) == (1000, 0, 0)
        found = {event.id: event for event in [*first, *read_when_it_can(reader, 1000 - len(first))]}
        assert sorted(tasks(found.values())) == list(range(1000))
        reader.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_speaks_over_https_with_a_login_of_its_own(octopus):
    with opened(octopus.url(via="https")) as (fabric, publisher):
        say(publisher, range(3))
        assert publisher.flush(20.0).safe == 3
        child = os.fork()
        if child == 0:
            say(publisher, range(100, 103))
            os._exit(0 if publisher.close(20.0).safe == 3 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        say(publisher, range(3, 5))
        assert publisher.flush(20.0).safe == 5
        events = read(fabric.consumer("reader"), 8)
        assert sorted(tasks(events)) == [0, 1, 2, 3, 4, 100, 101, 102]
        assert len({event.boot for event in events}) == 2


@WAYS
def test_secrets_appear_in_no_log_and_no_event(octopus, caplog, via):
    caplog.set_level(logging.DEBUG)
    with opened(octopus.url(via=via)) as (fabric, publisher):
        say(publisher, range(3))
        assert publisher.flush(20.0).safe == 3
        events = read(fabric.consumer("reader"), 3)
        assert fabric.url
    own = [record for record in caplog.records if record.name.startswith("parsl_diaspora")]
    text = "\n".join([*map(str, own), *(record.getMessage() for record in own), *map(repr, events)])
    for secret in (octopus.secret_key, octopus.access_key, octopus.token):
        assert secret not in text
