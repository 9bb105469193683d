"""confluent-kafka, that is librdkafka: an idempotent producer and a reader of assigned partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from parsl_diaspora.fabric.kafka.clients import Fetched, OnFailure, OnFault
from parsl_diaspora.fabric.kafka.confluent_cluster import ConfluentCluster
from parsl_diaspora.fabric.kafka.confluent_settings import (
    KILOBYTES,
    common_settings,
    make,
    producer_settings,
)
from parsl_diaspora.fabric.kafka.faults import Verdict, fault_of, verdict_of
from parsl_diaspora.fabric.kafka.layout import Part, Record, record_again
from parsl_diaspora.fabric.kafka.url import KafkaUrl

_WORDS = {
    KafkaError._PARTITION_EOF: "end",
    KafkaError._AUTO_OFFSET_RESET: "range",
    KafkaError.OFFSET_OUT_OF_RANGE: "range",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "topic",
    KafkaError._UNKNOWN_PARTITION: "topic",
    KafkaError._UNKNOWN_TOPIC: "topic",
}


class ConfluentClient:
    """Makes senders, receivers and clusters with confluent-kafka."""

    def check(self, url: KafkaUrl) -> None:
        """Let librdkafka judge the options that are its own."""
        if url.raw:
            settings = {**producer_settings(url, 0.0), "bootstrap.servers": ""}
            settings.pop("oauth_cb", None)
            make(Producer, settings, url)

    def sender(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, *, linger: float) -> ConfluentSender:
        """An idempotent producer."""
        return ConfluentSender(url, failed, fault, linger)

    def receiver(self, url: KafkaUrl, group: str, fault: OnFault) -> ConfluentReceiver:
        """A consumer of assigned partitions."""
        return ConfluentReceiver(url, group, fault)

    def cluster(self, url: KafkaUrl) -> ConfluentCluster:
        """An admin client, made when it is needed."""
        return ConfluentCluster(url)


class ConfluentSender:
    """Hands records to librdkafka, which sends them in the background.

    Only failures are reported one by one: what is neither failed nor counted by the producer is delivered.
    """

    direct = True

    def __init__(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, linger: float) -> None:
        self._failed = failed
        settings = producer_settings(url, linger)
        settings["on_delivery"] = self._delivered
        settings["error_cb"] = lambda error: fault(fault_of(error.name(), error.str()))
        self._producer = make(Producer, settings, url)

    def warm(self, topics: Sequence[str], timeout: float) -> None:
        """Learn where the topics are."""
        with suppress(KafkaException):
            for topic in topics:
                self._producer.list_topics(topic, timeout)

    def hand(self, record: Record) -> Verdict:
        """Take a record without waiting."""
        topic, key, value, headers = record
        try:
            self._producer.produce(topic, value, key, headers=headers)
        except BufferError:
            return "full"
        except KafkaException as error:
            return verdict_of(error.args[0].name())
        return ""

    def poll(self, timeout: float) -> None:
        """Serve what librdkafka has to tell."""
        self._producer.poll(timeout)

    def outstanding(self) -> int:
        """Records that librdkafka holds, and other things that it has still to tell."""
        return len(self._producer)

    def purge(self) -> None:
        """Let all that is outstanding fail."""
        self._producer.purge()
        self._producer.poll(0)

    def close(self) -> None:
        """Let librdkafka end its threads; it is not kept here any longer."""
        del self._producer

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            record = record_again(message.topic(), message.key(), message.value())
            self._failed(record, verdict_of(error.name()), error.str())


class ConfluentReceiver:
    """Reads assigned partitions; librdkafka fetches ahead in the background."""

    def __init__(self, url: KafkaUrl, group: str, fault: OnFault) -> None:
        self._fault = fault
        settings = {
            **common_settings(url),
            "group.id": group,  # needed, and not joined
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.error.backoff.ms": 100,
            "fetch.queue.backoff.ms": 50,
            "queued.max.messages.kbytes": KILOBYTES,
            "error_cb": lambda error: fault(fault_of(error.name(), error.str())),
            **url.raw,
        }
        self._consumer = make(Consumer, settings, url)

    def assign(self, offsets: Mapping[Part, int]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        known = {(part.topic, part.partition) for part in self._consumer.assignment()}
        if again := [TopicPartition(*part) for part in offsets if part in known]:
            self._consumer.incremental_unassign(again)
        self._consumer.incremental_assign([TopicPartition(*part, at) for part, at in offsets.items()])

    def fetch(self, timeout: float, limit: int) -> list[Fetched]:
        """What is there: ``consume`` alone would wait until so many are, so the first is polled for."""
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        return [*self._understood(first), *self._rest(limit - 1)]

    def pause(self, parts: Iterable[Part]) -> None:
        """Fetch nothing more of these for now."""
        self._consumer.pause([TopicPartition(*part) for part in parts])

    def resume(self, parts: Iterable[Part]) -> None:
        """Fetch them again."""
        self._consumer.resume([TopicPartition(*part) for part in parts])

    def close(self) -> None:
        """End librdkafka's threads."""
        self._consumer.close()

    def _rest(self, limit: int) -> Iterable[Fetched]:
        for message in self._consumer.consume(limit, 0) if limit > 0 else ():
            yield from self._understood(message)

    def _understood(self, message: Message) -> Iterable[Fetched]:
        part = message.topic(), message.partition()
        if (error := message.error()) is None:
            yield Fetched(part, message.offset(), message.value() or b"")
        elif word := _WORDS.get(error.code()):
            yield Fetched(part, message.offset() or 0, None, word)
        else:
            self._fault(fault_of(error.name(), error.str()))
