"""kafka-python serves where confluent-kafka is missing: the same contract, and the same words for faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric import open_fabric
from tests.fabric.kafka_help import opened, read, say, tasks
from tests.fabric.test_kafka_contract import TestKafka as KafkaContract
from tests.waiting import becomes

pytest.importorskip("kafka")

_WITHOUT_CONFLUENT = """
import sys
sys.modules["confluent_kafka"] = None
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
publisher = open_fabric(sys.argv[1]).publisher("without")
for number in range(5):
    publisher.publish(TaskSubmitted(task=number))
report = publisher.close(20.0)
assert report.safe == 5, report
assert "kafka" in sys.modules
"""


@pytest.mark.slow
class TestKafkaPython(KafkaContract):
    backlog = 20_000  # at a tenth of the other client's speed

    @pytest.fixture
    def fabric_url(self, kafka):
        self._broker = kafka
        return kafka.url(partitions=2, client="kafka-python")


def test_events_go_and_come_and_positions_are_kept(kafka):
    with opened(kafka.url(partitions=3, client="kafka-python")) as (fabric, publisher):
        say(publisher, range(200))
        assert publisher.flush(20.0).safe == 200
        reader = fabric.consumer("reader")
        assert tasks(read(reader, 200)) == list(range(200))
        reader.commit()
        reader.close()
        say(publisher, range(200, 210))
        again = fabric.consumer("reader")
        assert tasks(read(again, 10)) == list(range(200, 210))
        again.close()


def test_both_clients_read_what_the_other_has_written(kafka):
    url = kafka.url(partitions=3)
    with opened(url) as (fabric, publisher), opened(f"{url}&client=kafka-python", "other") as (python, other):
        say(publisher, range(20))
        say(other, range(20))
        assert (publisher.flush(20.0).safe, other.flush(20.0).safe) == (20, 20)
        for each in (fabric, python):
            reader = each.consumer(f"reader-{id(each)}")
            events = read(reader, 40)
            reader.close()
            for source in ("speaker", "other"):
                assert [event.task for event in events if event.source == source] == list(range(20))


def test_no_server_is_said_without_a_wait(caplog):
    with opened("kafka://127.0.0.1:1/runs?client=kafka-python") as (_, publisher):
        say(publisher, range(3))
        assert becomes(lambda: "no server answers" in caplog.text, 3.0)
        assert publisher.flush(0.1).waiting == 3


def test_options_of_librdkafka_are_refused():
    with pytest.raises(FabricError, match="does not know"):
        open_fabric("kafka://h/p?client=kafka-python&rdkafka.linger.ms=1")


def test_it_is_chosen_where_the_other_cannot_be_imported(kafka):
    url = kafka.url()
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_CONFLUENT, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reader = open_fabric(url).consumer("reader")
    assert tasks(read(reader, 5)) == list(range(5))
    reader.close()
