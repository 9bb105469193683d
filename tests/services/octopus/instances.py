"""Consumer instances of the web service: each has a consumer of the broker and is served one at a time."""

from __future__ import annotations

import base64
import threading
import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException, TopicPartition

MOST = 4


class ApiError(Exception):
    """An answer with the service's number of an error."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Instance:
    """One consumer instance."""

    def __init__(self, servers, group, settings):
        self.format = settings.get("format", "binary")
        self.lock = threading.Lock()
        self.used = time.monotonic()
        self._kept = []
        self._looked_at = set()
        self._consumer = Consumer({
            "bootstrap.servers": servers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": settings.get("auto.offset.reset", "latest"),
            "fetch.wait.max.ms": 20,
            "fetch.error.backoff.ms": 50,
            "topic.metadata.refresh.fast.interval.ms": 20,
            "log_level": 0,
        })  # fmt: skip
        self._positions = {}

    def subscribe(self, topics):
        self.assign([(topic, 0) for topic in topics])

    def assign(self, parts):
        wanted = [TopicPartition(topic, number) for topic, number in parts]
        kept = self._consumer.committed(wanted, 10) if wanted else []
        self._positions = {(at.topic, at.partition): at.offset for at in kept}
        self._apply()

    def _apply(self):
        self._kept = []
        for topic in {topic for topic, _ in self._positions} - self._looked_at:
            self._consumer.list_topics(topic, 5)  # else librdkafka may look for its leader for a second
            self._looked_at.add(topic)
        self._consumer.assign([
            TopicPartition(topic, number, at if at >= 0 else -1001)
            for (topic, number), at in self._positions.items()
        ])  # fmt: skip

    def assignment(self):
        return list(self._positions)

    def seek(self, offsets):
        if unknown := [part for part in offsets if part not in self._positions]:
            raise ApiError(409, 40903, f"{unknown[0]} is not assigned")
        self._positions.update(offsets)
        self._apply()

    def seek_to(self, parts, where):
        found = {}
        for part in parts or self._positions:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*part), 10)
            found[part] = {OFFSET_BEGINNING: low, OFFSET_END: high}[where]
        self.seek(found)

    def fetch(self, timeout, most):
        """Records up to so many bytes."""
        deadline, size, records = time.monotonic() + timeout, 0, []
        while size < most:
            left = deadline - time.monotonic()
            message = (
                self._kept.pop(0) if self._kept else self._consumer.poll(0 if records else max(0.0, left))
            )
            if message is None:
                break
            if message.error():
                if left <= 0:
                    break
                continue
            size += len(message.value() or b"") + len(message.key() or b"")
            if records and size > most:
                self._kept.insert(0, message)
                break
            records.append(message)
        for message in records:
            self._positions[message.topic(), message.partition()] = message.offset() + 1
        return [self._shown(message) for message in records]

    def _shown(self, message):
        def data(value):
            return None if value is None else base64.b64encode(value).decode()

        return {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "key": data(message.key()),
            "value": data(message.value()),
            "headers": [{"name": name, "value": data(value)} for name, value in message.headers() or []],
        }

    def commit(self, offsets):
        """Positions of all that is assigned, or what follows the given offsets."""
        wanted = self._positions if offsets is None else {part: at + 1 for part, at in offsets.items()}
        if unknown := [part for part in wanted if part not in self._positions]:
            raise ApiError(409, 40903, f"{unknown[0]} is not assigned")
        positions = [TopicPartition(*part, at) for part, at in wanted.items() if at >= 0]
        if positions:
            self._consumer.commit(offsets=positions, asynchronous=False)

    def committed(self, parts):
        found = self._consumer.committed([TopicPartition(*part) for part in parts], 10) if parts else []
        return {(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def close(self):
        self._consumer.close()


class Instances:
    """The instances of a user, at most four."""

    def __init__(self, servers):
        self._servers = servers
        self._held = {}
        self._lock = threading.Lock()
        self.made = 0

    def make(self, group, settings):
        with self._lock:
            if len(self._held) >= MOST:
                raise ApiError(429, 42901, f"a user may have {MOST} instances")
            name = settings.get("name") or uuid.uuid4().hex
            if (group, name) in self._held:
                raise ApiError(409, 40902, "there is such an instance")
            self._held[group, name] = Instance(self._servers, group, settings)
            self.made += 1
            return name

    def use(self, group, name, work):
        """Work with an instance, one at a time."""
        with self._lock:
            instance = self._held.get((group, name))
        if instance is None:
            raise ApiError(404, 40403, "there is no such instance")
        with instance.lock:
            try:
                return work(instance)
            except KafkaException as error:
                raise ApiError(503, 50302, error.args[0].str()) from error

    def drop(self, group, name):
        with self._lock:
            instance = self._held.pop((group, name), None)
        if instance is None:
            raise ApiError(404, 40403, "there is no such instance")
        with instance.lock:
            instance.close()

    def drop_all(self):
        for key in list(self._held):
            self.drop(*key)
