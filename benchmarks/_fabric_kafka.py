"""A topic of a Kafka broker as a candidate, through confluent-kafka."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import Consumer, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from parsl_diaspora.events import Event, decode_many, encode, join
from parsl_diaspora.fabric.stamp import Stamp

PATIENCE = 10.0  # seconds


class KafkaTopic:
    """A topic with one partition, made when it is first written and deleted at the end.

    Args:
        place: ``HOST:PORT/TOPIC``.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._address, _, self._topic = place.partition("/")

    def writer(self, *, sync: bool = False) -> _Writer:
        """A producer; whether its broker syncs is the broker's choice."""
        del sync
        self._create()
        return _Writer(self._address, self._topic)

    def publisher(self, buffer: int = 50_000, *, plain: bool = False) -> _Publisher:
        """A producer, which has its own thread."""
        del buffer, plain
        self._create()
        return _Publisher(self._address, self._topic)

    def reader(self) -> _Reader:
        """A consumer in a group of its own."""
        return _Reader(self._address, self._topic)

    def close(self) -> None:
        """Delete the topic."""
        for deleted in self._admin().delete_topics([self._topic], request_timeout=PATIENCE).values():
            with suppress(KafkaException):  # it was never made, or this broker deletes none
                deleted.result(PATIENCE)

    def _create(self) -> None:
        topics = [NewTopic(self._topic, num_partitions=1, replication_factor=1)]
        for made in self._admin().create_topics(topics, request_timeout=PATIENCE).values():
            with suppress(KafkaException):  # it is there, or is made when it is first written
                made.result(PATIENCE)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self._address})


class _Writer:
    def __init__(self, address: str, topic: str) -> None:
        settings = {"bootstrap.servers": address, "acks": "all", "linger.ms": 0}
        self._producer = Producer(settings)
        self._topic = topic

    def append(self, encoded: Sequence[bytes]) -> None:
        for data in encoded:
            self.produce(data)
        self._producer.poll(0)

    def produce(self, data: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, data)
            except BufferError:
                self._producer.poll(0.01)
            else:
                return

    def begin(self) -> bool:
        return False

    def flush(self, timeout: float) -> None:
        if self._producer.flush(timeout):
            raise TimeoutError

    def close(self) -> None:
        self.flush(60.0)


class _Publisher:
    def __init__(self, address: str, topic: str) -> None:
        self._writer = _Writer(address, topic)
        self._stamp = Stamp("benchmark")

    def publish(self, event: Event) -> None:
        self._writer.produce(encode(self._stamp(event)))

    def flush(self, timeout: float = 5.0) -> None:
        self._writer.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        self._writer.flush(timeout)


class _Reader:
    def __init__(self, address: str, topic: str) -> None:
        settings = {
            "bootstrap.servers": address,
            "group.id": f"benchmark-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
        self._consumer = Consumer(settings)
        self._consumer.subscribe([topic])

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        first = self._consumer.poll(timeout)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(limit - 1, 0)]
        return decode_many(join([_value(message) for message in messages if not message.error()]))

    def commit(self) -> None:
        self._consumer.commit(asynchronous=False)

    def close(self) -> None:
        self._consumer.close()


def _value(message: Message) -> bytes:
    return message.value() or b""
