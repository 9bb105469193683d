"""What goes wrong with a real Kafka broker: nothing acknowledged is lost, and what is wrong is said."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid

import pytest

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import EventsLost, TaskEnded, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.kafka import consumer
from parsl_diaspora.fabric.kafka.faults import Faults, cause_of, fault_of
from tests.fabric.kafka_help import opened, read, say, tasks
from tests.services.kafka.broker import PASSWORD
from tests.small_disk import small_disk
from tests.waiting import becomes, until

admin = pytest.importorskip("confluent_kafka.admin")


@pytest.fixture
def cluster(kafka):
    return admin.AdminClient({"bootstrap.servers": kafka.address()})


def done(futures):
    for future in futures.values():
        future.result(20)


# --- the way to the broker ---


def test_a_fault_is_said_again_when_it_is_known_why_and_not_when_it_is_known_no_more(caplog):
    faults = Faults("kafka://host", "events wait")
    late = fault_of("_TIMED_OUT", "5 s")
    refused = cause_of(FabricUnavailable("The cluster cannot be used now: the topic runs cannot be made."))
    for fault in (late, late, refused, late, refused):
        faults.note(fault)
    assert [record.args[2] for record in caplog.records] == [late.cause, refused.cause]
    assert faults.now == refused


def test_wrong_port_is_said_once_and_events_wait(caplog):
    started = time.monotonic()
    with opened("kafka://127.0.0.1:1/runs") as (_, publisher):
        say(publisher, range(10))
        assert time.monotonic() - started < 1.0
        assert becomes(lambda: caplog.records)
        report = publisher.flush(1.0)
    assert (report.safe, report.waiting, report.lost) == (0, 10, 0)
    (record,) = caplog.records
    assert "kafka://127.0.0.1:1/runs" in record.message
    assert "no server answers" in record.message
    assert "Check host and port" in record.message


def test_reader_without_a_broker_gets_an_error_from_poll_and_not_from_its_making():
    reader = open_fabric("kafka://127.0.0.1:1/runs").consumer("reader")
    with pytest.raises(FabricUnavailable, match="no server answers") as raised:
        reader.poll(0.1)
    assert raised.value.url == "kafka://127.0.0.1:1/runs"
    assert "Check host and port" in raised.value.hint
    assert reader.lag() == 0
    reader.close()


def test_unknown_host_is_named_as_the_cause(caplog):
    with opened("kafka://no-such-host.invalid:9092/runs") as (_, publisher):
        say(publisher, range(1))
        assert becomes(lambda: "host" in caplog.text)


def test_nothing_of_the_client_library_reaches_the_terminal(capfd):
    with opened("kafka://127.0.0.1:1/runs") as (_, publisher):
        say(publisher, range(1))
        publisher.flush(1.0)
    assert capfd.readouterr().err == ""


# --- a broker that goes and comes ---


@pytest.mark.slow
def test_broker_that_is_down_at_first_gets_all_events_when_it_comes(kafka):
    url = kafka.url()
    kafka.stop()
    with opened(url) as (fabric, publisher):
        reader = fabric.consumer("reader", start="latest")
        say(publisher, range(50))
        assert publisher.flush(0.2).waiting == 50
        kafka.start()
        report = publisher.flush(30.0)
        assert (report.safe, report.waiting, report.lost) == (50, 0, 0)
        assert tasks(read_when_it_can(reader, 50)) == list(range(50))


def read_when_it_can(reader, count, source="speaker"):
    """So many events of a source; a spool may say meanwhile that it lags."""
    found = {}
    deadline = time.monotonic() + 30.0
    while len(found) < count and time.monotonic() < deadline:
        try:
            found.update({event.id: event for event in reader.poll(0.1) if event.source == source})
        except FabricUnavailable:
            time.sleep(0.1)
    return list(found.values())


def test_broker_killed_in_the_middle_loses_nothing_that_was_acknowledged(kafka, tmp_path):
    with opened(kafka.url(partitions=3)) as (fabric, publisher):
        spooled = open_fabric(f"spool:{tmp_path / 'spool'}?to={kafka.url('spooled-' + uuid.uuid4().hex)}")
        by_spool = spooled.publisher("spooled")
        reader = fabric.consumer("reader")
        say(publisher, range(1000))
        say(by_spool, range(1000))
        assert publisher.flush(20.0).safe == 1000
        first = read(reader, 300)
        reader.commit()
        say(publisher, range(1000, 2000))
        kafka.kill()
        say(publisher, range(2000, 3000))
        say(by_spool, range(1000, 2000))
        assert by_spool.flush(5.0).safe == 2000
        kafka.start()
        report = publisher.flush(30.0)
        assert (report.safe, report.waiting, report.lost) == (3000, 0, 0)
        found = first + read_when_it_can(reader, 3000 - len(first))
        assert tasks(found) == list(range(3000))
        reader.close()
        assert spooled.drain(30.0)
        late = read_when_it_can(spooled.consumer("reader"), 2000, "spooled")
        assert tasks(late) == list(range(2000))
        by_spool.close()
        spooled.close()


def test_broker_that_stood_still_for_longer_than_its_session_goes_on(kafka):
    with opened(kafka.url(partitions=2)) as (fabric, publisher):
        say(publisher, range(100))
        reader = fabric.consumer("reader")
        assert len(read(reader, 100)) == 100
        with kafka.frozen():
            say(publisher, range(100, 200))
            started = time.monotonic()
            assert reader.poll(0.3) == []
            assert time.monotonic() - started < 1.0
            time.sleep(2.0)
            assert publisher.flush(0.1).waiting == 100
        assert publisher.flush(30.0).safe == 200
        assert tasks(read_when_it_can(reader, 100)) == list(range(100, 200))


@pytest.mark.slow
def test_broker_whose_disk_is_full_gets_the_rest_when_there_is_room(tmp_path, kafka):
    from tests.services.kafka.broker import Broker

    del kafka  # only for its reasons to skip
    with small_disk(tmp_path / "disk", "24m") as disk:
        broker = Broker(tmp_path / "broker", data=disk / "data")
        try:
            with opened(broker.url(compression="none"), buffer=200) as (fabric, publisher):
                number = 0
                while broker.runs() and number < 2000:
                    publisher.publish(TaskEnded(run="r", task=number, error=os.urandom(50_000).hex()))
                    number += 1
                    publisher.flush(0.2)
                safe = publisher.report().safe
                assert not broker.runs()
                os.system(f"mount -o remount,size=512m {disk}")
                broker.start()
                report = publisher.flush(60.0)
                assert (report.safe, report.waiting, report.lost) == (number, 0, 0)
                assert number >= safe > 0
                assert tasks(read_when_it_can(fabric.consumer("reader"), number)) == list(range(number))
        finally:
            broker.close()


# --- topics ---


def test_topics_that_cannot_be_made_are_said_and_events_wait_until_somebody_makes_them(
    kafka, cluster, caplog
):
    url = kafka.url(replication=3)  # there is one server
    prefix = url.rpartition("/")[2].partition("?")[0]
    with opened(url) as (fabric, publisher):
        say(publisher, range(5))
        assert becomes(lambda: "cannot be made" in caplog.text)
        assert "replication" in caplog.text.lower()
        report = publisher.flush(0.2)
        assert (report.safe, report.waiting, report.lost) == (0, 5, 0)
        with pytest.raises(FabricUnavailable, match="cannot be made"):
            fabric.consumer("reader").poll(0.1)
        names = [f"{prefix}.{name}" for name in ("tasks", "resources", "failures", "control")]
        done(cluster.create_topics([admin.NewTopic(name, 1, 1) for name in names]))
        assert publisher.flush(30.0).safe == 5
        assert tasks(read_when_it_can(fabric.consumer("reader"), 5)) == list(range(5))


def test_topics_that_are_deleted_under_us_are_made_again_and_that_is_counted(kafka, cluster):
    url = kafka.url()
    prefix = url.rpartition("/")[2]
    with opened(url) as (fabric, publisher):
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
        reader = fabric.consumer("reader")
        assert len(read(reader, 10)) == 10
        reader.commit()
        topics = [f"{prefix}.{name}" for name in ("tasks", "resources", "failures", "control")]
        done(cluster.delete_topics(topics))
        until(lambda: not cluster.list_topics(timeout=20).topics.keys() & set(topics))
        say(publisher, range(10, 20))
        assert publisher.flush(30.0).safe == 20
        assert tasks(read_when_it_can(reader, 10)) == list(range(10, 20))
        assert reader.skipped() > 0
        reader.close()


def test_event_that_the_broker_finds_too_large_is_counted_and_said(kafka, cluster):
    url = kafka.url()
    name = f"{url.rpartition('/')[2]}.tasks"
    small = admin.NewTopic(name, 1, 1, config={"max.message.bytes": "3000"})
    done(cluster.create_topics([small]))
    with opened(url) as (fabric, publisher):
        say(publisher, range(2))
        publisher.publish(TaskEnded(run="r", error=os.urandom(10_000).hex()))
        publisher.flush(20.0)
        say(publisher, range(2, 4))
        report = publisher.flush(20.0)
        assert (report.safe, report.waiting, report.lost) == (5, 0, 1)
        events = read(fabric.consumer("reader"), 5)
        assert tasks(event for event in events if isinstance(event, TaskSubmitted)) == [0, 1, 2, 3]
        (lost,) = [event for event in events if isinstance(event, EventsLost)]
        assert lost.count == 1
        assert "task.ended" in lost.why


def test_reader_goes_on_where_records_have_gone_and_counts_it(kafka, cluster):
    from confluent_kafka import TopicPartition

    url = kafka.url()
    name = f"{url.rpartition('/')[2]}.tasks"
    with opened(url) as (fabric, publisher):
        say(publisher, range(10))
        publisher.flush(20.0)
        first = fabric.consumer("reader")
        assert len(read(first, 10)) == 10
        first.commit()
        first.close()
        say(publisher, range(10, 30))
        publisher.flush(20.0)
        done(cluster.delete_records([TopicPartition(name, 0, 20)]))
        reader = fabric.consumer("reader")
        assert tasks(read(reader, 10)) == list(range(20, 30))
        assert reader.skipped() == 1
        reader.close()


def test_new_partitions_are_noticed(kafka, cluster, monkeypatch):
    monkeypatch.setattr(consumer, "_LOOK", 1.0)
    url = kafka.url(partitions=1)
    name = f"{url.rpartition('/')[2].partition('?')[0]}.tasks"
    with opened(url) as (fabric, publisher):
        say(publisher, range(10))
        publisher.flush(20.0)
        reader = fabric.consumer("reader")
        assert len(read(reader, 10)) == 10
        done(cluster.create_partitions([admin.NewPartitions(name, 3)]))
        with opened(url, "another") as (_, late):
            say(late, range(10, 60))
            late.flush(20.0)
        assert sorted(tasks(read(reader, 50))) == list(range(10, 60))
        assert len(reader.position()) == 6
        reader.close()


# --- what others write there ---


def test_records_of_others_are_passed_over_and_duplicates_come_twice(kafka):
    from confluent_kafka import Producer

    url = kafka.url()
    topic = f"{url.rpartition('/')[2]}.tasks"
    with opened(url) as (fabric, publisher):
        say(publisher, range(3))
        publisher.flush(20.0)
        reader = fabric.consumer("reader")
        assert len(read(reader, 3)) == 3
        raw = Producer({"bootstrap.servers": kafka.address()})
        raw.produce(topic, b"no JSON")
        raw.produce(topic, b'{"specversion":"1.0","type":"com.example.other","data":{}}')
        raw.produce(topic, None)
        for value in values(kafka, topic)[:3]:
            raw.produce(topic, value)
        raw.flush(20)
        again = []
        assert becomes(lambda: again.extend(reader.poll(0.1)) or len(again) >= 3)
        assert [event.seq for event in again] == [1, 2, 3]
        assert reader.skipped() == 3
        reader.close()


def values(kafka, topic):
    from confluent_kafka import Consumer

    settings = {"bootstrap.servers": kafka.address(), "group.id": "raw", "auto.offset.reset": "earliest"}
    raw = Consumer(settings)
    raw.subscribe([topic])
    messages = raw.consume(3, 10)
    raw.close()
    return [message.value() for message in messages]


def test_secrets_appear_nowhere(kafka, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    url = (
        kafka.url()
        .replace("kafka://", "kafka://anna:wrong-secret@")
        .replace(kafka.address(), kafka.address("SASL_PLAINTEXT"))
    )
    with opened(url) as (fabric, publisher):
        say(publisher, range(1))
        assert becomes(lambda: "login was refused" in caplog.text)
        with pytest.raises(FabricUnavailable) as raised:
            fabric.consumer("reader").poll(0.1)
    for text in (caplog.text, fabric.url, repr(fabric), repr(raised.value), str(raised.value.hint)):
        assert "wrong-secret" not in text
    assert fabric.node_url is None
    assert PASSWORD not in caplog.text


def test_threads_end_with_their_publisher(kafka):
    before = threading.active_count()
    with opened(kafka.url()) as (_, publisher):
        say(publisher, range(10))
        assert publisher.flush(20.0).safe == 10
    assert becomes(lambda: threading.active_count() <= before)
