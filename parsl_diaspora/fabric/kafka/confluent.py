"""confluent-kafka, that is librdkafka: an idempotent producer and a reader of assigned partitions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.fabric.kafka.clients import Fetched, OnFailure, OnFault
from parsl_diaspora.fabric.kafka.confluent_cluster import ConfluentCluster
from parsl_diaspora.fabric.kafka.confluent_settings import (
    KILOBYTES,
    common_settings,
    make,
    producer_settings,
)
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, Verdict, fault_of, verdict_of
from parsl_diaspora.fabric.kafka.layout import Part, Record, record_again
from parsl_diaspora.fabric.kafka.url import KafkaUrl

_SLICE = 0.05
_LOOK = 2.0
_NO_PLACE = "it is called delivered without an offset"
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

    Only failures are passed on one by one: what is neither failed nor counted by the producer is delivered.
    Delivered is what has an offset, and that alone: a broker which knows nothing of a producer yet takes its
    second batch before the first, and librdkafka then calls the first one delivered without sending it again.
    """

    direct = True

    def __init__(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, linger: float) -> None:
        self._failed = failed
        settings = producer_settings(url, linger)
        acks = (str(settings.get(name)) for name in ("acks", "request.required.acks"))
        self._acknowledged = "0" not in acks  # else nothing has an offset, as the URL wants it
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
        if error is None and (message.offset() is not None or not self._acknowledged):
            return
        record = record_again(message.topic(), message.key(), message.value())
        if error is None:  # librdkafka infers it from a later success, which a new partition does not warrant
            self._failed(record, "again", _NO_PLACE)
        else:
            self._failed(record, verdict_of(error.name()), error.str())


class ConfluentReceiver:
    """Reads assigned partitions; librdkafka fetches ahead in the background."""

    repeats_ends = False

    def __init__(self, url: KafkaUrl, group: str, fault: OnFault) -> None:
        self._fault = fault
        self._shown = url.shown
        self._kept: list[Message] = []  # that came while a commit was waited for
        self._answers: list[KafkaError | None] = []  # to commits
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
            "on_commit": self._on_commit,
            **url.raw,
        }
        self._consumer = make(Consumer, settings, url)

    def assign(self, offsets: Mapping[Part, int]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        with suppress(KafkaException):  # else the first look for a partition's leader may take a second
            for topic in {topic for topic, _ in offsets}:
                self._consumer.list_topics(topic, _LOOK)
        known = {(part.topic, part.partition) for part in self._consumer.assignment()}
        if again := [TopicPartition(*part) for part in offsets if part in known]:
            self._consumer.incremental_unassign(again)
        self._consumer.incremental_assign([TopicPartition(*part, at) for part, at in offsets.items()])

    def fetch(self, timeout: float, limit: int) -> list[Fetched]:
        """What is there: ``consume`` alone would wait until so many are, so the first is polled for."""
        kept, self._kept = self._kept, []
        first = self._consumer.poll(0 if kept else timeout)
        messages = kept if first is None else [*kept, first]
        if first is not None and limit > 1:
            messages += self._consumer.consume(limit - 1, 0)
        return [fetched for message in messages for fetched in self._understood(message)]

    def pause(self, parts: Iterable[Part]) -> None:
        """Fetch nothing more of these for now."""
        self._consumer.pause([TopicPartition(*part) for part in parts])

    def resume(self, parts: Iterable[Part]) -> None:
        """Fetch them again."""
        self._consumer.resume([TopicPartition(*part) for part in parts])

    def committed(self, parts: Iterable[Part], timeout: float) -> dict[Part, int]:
        """Positions that the group keeps.

        The admin client is not asked: it brings librdkafka down when a group has no coordinator yet.
        """
        wanted = [TopicPartition(*part) for part in parts]
        if not wanted:
            return {}
        try:
            found = self._consumer.committed(wanted, timeout)
        except KafkaException as error:
            raise self._error(error.args[0], "be read") from error
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def commit(self, offsets: Mapping[Part, int], timeout: float) -> None:
        """Let the group keep positions; in time, or not at all."""
        positions = [TopicPartition(*part, offset) for part, offset in offsets.items()]
        deadline = time.monotonic() + timeout
        error: KafkaError | None = None
        waits = False
        while positions:
            if not waits:
                self._answers.clear()
                self._consumer.commit(offsets=positions, asynchronous=True)
                waits = True
            if (message := self._consumer.poll(_SLICE)) is not None:
                self._kept.append(message)
            if self._answers:
                waits, error = False, self._answers[0]
                if error is None:
                    return
            if time.monotonic() > deadline:
                raise self._error(error or KafkaError(KafkaError._TIMED_OUT), "be kept")

    def _error(self, error: KafkaError, what: str) -> FabricUnavailable:
        fault = fault_of(error.name(), error.str())
        cause = Fault(f"positions cannot {what}: {fault.cause}", fault.hint)
        return Faults(self._shown, "").error(cause)

    def close(self) -> None:
        """End librdkafka's threads."""
        self._consumer.close()

    def _on_commit(self, error: KafkaError | None, positions: object) -> None:
        del positions
        self._answers.append(error)

    def _understood(self, message: Message) -> Iterable[Fetched]:
        part = message.topic(), message.partition()
        if (error := message.error()) is None:
            yield Fetched(part, message.offset(), message.value() or b"")
        elif word := _WORDS.get(error.code()):
            yield Fetched(part, message.offset() or 0, None, word)
        else:
            self._fault(fault_of(error.name(), error.str()))
