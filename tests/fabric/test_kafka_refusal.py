"""What a client library takes for delivered, though the broker never took it, is sent again."""

from __future__ import annotations

import uuid

import pytest

from tests.fabric.kafka_help import opened, read, say, tasks
from tests.fabric.kafka_refusal import RefusesFirstBatch

pytest.importorskip("confluent_kafka")


@pytest.fixture
def link(kafka):
    link = RefusesFirstBatch(kafka.ports["PLAINTEXT"])
    yield link
    link.close()


@pytest.fixture
def patient_link(kafka):
    link = RefusesFirstBatch(kafka.ports["PLAINTEXT"], patience=1.0)
    yield link
    link.close()


@pytest.mark.parametrize("client", ["confluent-kafka", "kafka-python"])
def test_no_batch_goes_before_the_first_one_was_taken(kafka, patient_link, client):
    """So a batch that is refused comes before those behind it, though the broker would have taken them."""
    if client == "kafka-python":
        pytest.importorskip("kafka")
    prefix = uuid.uuid4().hex
    with opened(f"kafka://127.0.0.1:{patient_link.port}/{prefix}?partitions=1&client={client}") as (
        _,
        publisher,
    ):
        say(publisher, [0])
        assert patient_link.arrived.wait(20.0)
        say(publisher, [1, 2, 3])
        report = publisher.flush(20.0)
        assert patient_link.refused
        assert not patient_link.overtaken
        assert (report.safe, report.waiting, report.lost) == (4, 0, 0)
    with opened(kafka.url(prefix)) as (fabric, _):
        assert tasks(read(fabric.consumer("reader"), 4, 5.0)) == [0, 1, 2, 3]


def test_first_batch_that_is_refused_while_the_second_is_taken_is_sent_again(kafka, link):
    """Where several may be on their way: the broker knows nothing of the producer yet, so it takes them."""
    prefix = uuid.uuid4().hex
    url = f"kafka://127.0.0.1:{link.port}/{prefix}?partitions=1&rdkafka.max.in.flight=5"
    with opened(url) as (_, publisher):
        say(publisher, [0])
        assert link.arrived.wait(20.0)
        say(publisher, [1])
        report = publisher.flush(20.0)
        assert link.refused
        assert (report.safe, report.waiting, report.lost) == (2, 0, 0)
    with opened(kafka.url(prefix)) as (fabric, _):
        assert sorted(tasks(read(fabric.consumer("reader"), 2, 5.0))) == [0, 1]


@pytest.mark.parametrize("acks", ["acks", "request.required.acks"])
def test_without_acknowledgements_there_are_no_offsets_to_ask_for(kafka, acks):
    url = kafka.url(**{"rdkafka.enable.idempotence": "false", f"rdkafka.{acks}": "0"})
    with opened(url) as (_, publisher):
        say(publisher, range(10))
        assert publisher.flush(5.0).safe == 10  # as far as anybody can know
