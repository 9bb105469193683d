"""kafka-python, where confluent-kafka cannot be installed: slower by more than ten times, and complete.

It has no bound of its own and may block for seconds, so it is used in our threads only, behind a bound of
ours, and only when a server was seen to listen.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import kafka
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.kafka.clients import Fetched, OnFailure, OnFault, TopicSeen, When
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, Verdict
from parsl_diaspora.fabric.kafka.layout import Part, Record
from parsl_diaspora.fabric.kafka.security import mechanism, password, protocol, token_function
from parsl_diaspora.fabric.kafka.url import KafkaUrl

_MOST = 5_000  # records that it may hold
_CONNECT = 2.0  # seconds for a look whether a server listens
_TICK = 0.005
_VERDICTS: dict[str, Verdict] = {
    "MessageSizeTooLargeError": "lost",
    "RecordListTooLargeError": "lost",
    "InvalidRecordError": "lost",
    "UnknownTopicOrPartitionError": "topics",
}


class PythonClient:
    """Makes senders, receivers and clusters with kafka-python."""

    def check(self, url: KafkaUrl) -> None:
        """Refuse options that are meant for librdkafka."""
        if url.raw:
            message = "kafka-python does not know the options of librdkafka."
            raise FabricError(message, url=url.shown, hint="Install confluent-kafka, or leave them out.")

    def sender(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, *, linger: float) -> PythonSender:
        """An idempotent producer."""
        del fault
        return PythonSender(url, failed, linger)

    def receiver(self, url: KafkaUrl, group: str, fault: OnFault) -> PythonReceiver:
        """A consumer of assigned partitions."""
        return PythonReceiver(url, group, fault)

    def cluster(self, url: KafkaUrl) -> PythonCluster:
        """An admin client, made when it is needed."""
        return PythonCluster(url)


class PythonSender:
    """Hands records to kafka-python and looks at its futures."""

    direct = False

    def __init__(self, url: KafkaUrl, failed: OnFailure, linger: float) -> None:
        self._failed = failed
        self._sent: deque[tuple[Record, Any]] = deque()
        self._producer = _make(
            kafka.KafkaProducer,
            url,
            acks="all",
            enable_idempotence=True,
            max_in_flight_requests_per_connection=1,  # else a new partition may take the second batch first
            compression_type=_compression(url),
            linger_ms=max(1, int(linger * 1000)),
            delivery_timeout_ms=2**31 - 1,
            max_block_ms=5000,
            allow_auto_create_topics=False,
        )

    def warm(self, topics: Sequence[str], timeout: float) -> None:
        """Learn where the topics are."""
        del timeout
        for topic in topics:
            self._producer.partitions_for(topic)

    def hand(self, record: Record) -> Verdict:
        """Take a record."""
        if len(self._sent) >= _MOST:
            return "full"
        try:
            future = self._producer.send(
                record.topic, record.value, key=record.key, headers=list(record.headers)
            )
        except KafkaError as error:
            return _VERDICTS.get(type(error).__name__, "again")
        self._sent.append((record, future))
        return ""

    def poll(self, timeout: float) -> None:
        """Wait until the oldest has an answer, and look at all that have one."""
        deadline = time.monotonic() + timeout
        while not (self._sent and self._sent[0][1].is_done) and time.monotonic() < deadline:
            time.sleep(_TICK)
        while self._sent and self._sent[0][1].is_done:
            record, future = self._sent.popleft()
            if future.failed():
                name = type(future.exception).__name__
                self._failed(record, _VERDICTS.get(name, "again"), f"{name}: {future.exception}")
            elif future.value.offset < 0:  # called a duplicate, of which there is no proof
                self._failed(record, "again", "it is called delivered without an offset")

    def outstanding(self) -> int:
        """Records without an answer."""
        return len(self._sent)

    def purge(self) -> None:
        """Let all that is outstanding fail."""
        sent, self._sent = self._sent, deque()
        for record, _ in sent:
            self._failed(record, "again", "purged")

    def close(self) -> None:
        """End its thread; where it does not end in time, as before a server that hangs, it is left alone."""
        with suppress(KafkaError):
            self._producer.close(timeout=0.5)


class PythonReceiver:
    """Reads assigned partitions."""

    repeats_ends = False

    def __init__(self, url: KafkaUrl, group: str, fault: OnFault) -> None:
        self._url = url
        self._fault = fault
        self._consumer = _make(
            kafka.KafkaConsumer,
            url,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            fetch_max_wait_ms=100,
        )
        self._ended: set[Part] = set()

    def assign(self, offsets: Mapping[Part, int]) -> None:
        """Read these partitions from these offsets on, beside those that are read already."""
        known = self._consumer.assignment()
        self._consumer.assign(known | {kafka.TopicPartition(*part) for part in offsets})
        for part, offset in offsets.items():
            self._consumer.seek(kafka.TopicPartition(*part), offset)

    def fetch(self, timeout: float, limit: int) -> list[Fetched]:
        """What is there."""
        try:
            found = self._consumer.poll(timeout_ms=int(timeout * 1000), max_records=limit)
        except kafka.errors.OffsetOutOfRangeError as error:
            return [Fetched((part.topic, part.partition), 0, None, "range") for part in error.args[0]]
        except KafkaError as error:
            self._fault(Fault(f"reading failed ({type(error).__name__}: {error})"))
            return []
        records = [
            Fetched((part.topic, part.partition), record.offset, record.value or b"")
            for part, batch in found.items()
            for record in batch
        ]
        self._ended -= {record.part for record in records}
        return records + list(self._ends())

    def pause(self, parts: Iterable[Part]) -> None:
        """Fetch nothing more of these for now."""
        self._consumer.pause(*(kafka.TopicPartition(*part) for part in parts))

    def resume(self, parts: Iterable[Part]) -> None:
        """Fetch them again."""
        self._consumer.resume(*(kafka.TopicPartition(*part) for part in parts))

    def committed(self, parts: Iterable[Part], timeout: float) -> dict[Part, int]:
        """Positions that the group keeps."""
        del timeout
        found = _ask(
            self._url, lambda: {part: self._consumer.committed(kafka.TopicPartition(*part)) for part in parts}
        )
        return {part: offset for part, offset in found.items() if offset is not None}

    def commit(self, offsets: Mapping[Part, int], timeout: float) -> None:
        """Let the group keep positions."""
        positions = {
            kafka.TopicPartition(*part): kafka.OffsetAndMetadata(offset, "", -1)
            for part, offset in offsets.items()
        }
        _ask(self._url, lambda: self._consumer.commit(positions, timeout_ms=int(timeout * 1000)))

    def close(self) -> None:
        """Let the connections go."""
        self._consumer.close(autocommit=False)

    def _ends(self) -> Iterable[Fetched]:
        for at in self._consumer.assignment():
            part = (at.topic, at.partition)
            high = self._consumer.highwater(at)
            if part not in self._ended and high is not None and self._consumer.position(at) >= high:
                self._ended.add(part)
                yield Fetched(part, high, None, "end")


class PythonCluster:
    """Asks an admin client and a consumer, which are made when they are first needed."""

    def __init__(self, url: KafkaUrl) -> None:
        self._url = url
        self._clients: dict[str, Any] = {}

    def ensure(self, topics: Sequence[str], timeout: float) -> None:
        """Make those topics that are missing, as far as that is allowed."""
        keep = self._url.retention_ms
        wanted = [
            NewTopic(
                topic,
                num_partitions=self._url.number("partitions", -1),
                replication_factor=self._url.number("replication", -1),
                topic_configs={} if keep is None else {"retention.ms": str(keep)},
            )
            for topic in topics
            if topic not in self.topics(topics, timeout)
        ]
        if wanted:
            _ask(
                self._url,
                lambda: self._admin().create_topics(
                    wanted, timeout_ms=int(timeout * 1000), raise_errors=False
                ),
            )

    def look(self, topics: Sequence[str]) -> Callable[[], dict[str, TopicSeen] | None]:
        """Ask for the topics that are there; the answer is there at once."""
        return lambda: self.topics(topics, 5.0)

    def topics(self, topics: Sequence[str], timeout: float) -> dict[str, TopicSeen]:
        """Those of the topics that are there."""
        del timeout
        found = _ask(self._url, lambda: self._admin().describe_topics(list(topics)))
        return {
            each["name"]: TopicSeen(str(each.get("topic_id", "")), len(each["partitions"]))
            for each in found
            if each["partitions"]
        }

    def offsets(self, parts: Iterable[Part], when: When | float, timeout: float) -> dict[Part, int]:
        """The first offset, the next one, or the first from a time on."""
        del timeout
        wanted = [kafka.TopicPartition(*part) for part in parts]
        if not wanted:
            return {}
        reader = self._consumer()
        if when == "first":
            found = _ask(self._url, lambda: reader.beginning_offsets(wanted))
        else:
            found = dict(_ask(self._url, lambda: reader.end_offsets(wanted)))
            if when != "next":
                moment = max(0, int(float(when) * 1000))
                later = _ask(self._url, lambda: reader.offsets_for_times(dict.fromkeys(wanted, moment)))
                found.update({at: hit.offset for at, hit in later.items() if hit is not None})
        return {(at.topic, at.partition): offset for at, offset in found.items()}

    def close(self) -> None:
        """Let the connections go."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _admin(self) -> Any:
        if "admin" not in self._clients:
            self._clients["admin"] = _make(KafkaAdminClient, self._url)
        return self._clients["admin"]

    def _consumer(self) -> Any:
        if "consumer" not in self._clients:
            self._clients["consumer"] = _make(kafka.KafkaConsumer, self._url, enable_auto_commit=False)
        return self._clients["consumer"]


def _ask(url: KafkaUrl, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except KafkaError as error:
        raise Faults(url.shown, "").error(Fault(f"{type(error).__name__}: {error}")) from error


def _make(kind: Callable[..., Any], url: KafkaUrl, **options: Any) -> Any:
    """A client of kafka-python, if a server listens: it would block for half a minute otherwise."""
    _look_for_a_server(url)
    try:
        return kind(bootstrap_servers=list(url.servers), **_security(url), **options)
    except KafkaError as error:
        raise Faults(url.shown, "").error(Fault(f"{type(error).__name__}: {error}")) from error


def _look_for_a_server(url: KafkaUrl) -> None:
    why = ""
    for server in url.servers:
        host, _, port = server.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT).close()
        except OSError as error:
            why = f"{server}: {error}"
        else:
            return
    fault = Fault(f"no server answers ({why})", "Check host and port, and that the cluster runs.")
    raise Faults(url.shown, "").error(fault)


def _security(url: KafkaUrl) -> dict[str, Any]:
    settings: dict[str, Any] = {"security_protocol": protocol(url)}
    names = {"ca_file": "ssl_cafile", "cert_file": "ssl_certfile", "key_file": "ssl_keyfile"}
    settings.update({name: url.options[option] for option, name in names.items() if option in url.options})
    if not (sasl := mechanism(url)):
        return settings
    settings["sasl_mechanism"] = sasl
    if sasl == "OAUTHBEARER":
        settings["sasl_oauth_token_provider"] = _Tokens(url)
    else:
        settings.update(sasl_plain_username=url.user, sasl_plain_password=password(url))
    return settings


class _Tokens:
    """As kafka-python wants it."""

    def __init__(self, url: KafkaUrl) -> None:
        self._function = token_function(url)

    def token(self) -> str:
        """A token that is valid now."""
        return self._function("")[0]


def _compression(url: KafkaUrl) -> str | None:
    chosen = url.options.get("compression", "lz4" if find_spec("lz4") else "gzip")
    return None if chosen == "none" else chosen
