"""Topics and their offsets through librdkafka's admin client: each question has an answer or an end."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from parsl_diaspora.fabric.forks import keep_for_ever
from parsl_diaspora.fabric.kafka.clients import TopicSeen, When
from parsl_diaspora.fabric.kafka.confluent_settings import common_settings, make
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, fault_of
from parsl_diaspora.fabric.kafka.layout import Part
from parsl_diaspora.fabric.kafka.url import KafkaUrl

logger = logging.getLogger(__name__)

_HURRY = 0.3  # seconds after which a known fault ends a question
_SLICE = 0.02
_AGAIN = 0.1
_SOON = (
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
_EXISTS = KafkaError.TOPIC_ALREADY_EXISTS
_FORBIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED)
_ABSENT = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError.TOPIC_EXCEPTION)


class ConfluentCluster:
    """Asks an admin client, which is made when it is first needed in a process."""

    def __init__(self, url: KafkaUrl) -> None:
        self._url = url
        self._admin: AdminClient | None = None
        self._process = 0
        self._fault: Fault | None = None

    def ensure(self, topics: Sequence[str], timeout: float) -> None:
        """Make those topics that are missing, as far as that is allowed."""
        config = {} if self._url.retention_ms is None else {"retention.ms": str(self._url.retention_ms)}
        wanted = [
            NewTopic(
                topic,
                num_partitions=self._url.number("partitions", -1),
                replication_factor=self._url.number("replication", -1),
                config=config,
            )
            for topic in topics
        ]
        asked = self._client().create_topics(wanted, request_timeout=timeout)
        for topic, error in self._answers(asked, timeout)[1].items():
            if error.code() not in (_EXISTS, *_FORBIDDEN):
                raise self._error(error, f"the topic {topic} cannot be made")

    def look(self, topics: Sequence[str]) -> Callable[[], dict[str, TopicSeen] | None]:
        """Ask for the topics that are there."""
        asked = self._client().describe_topics(TopicCollection(list(topics)), request_timeout=10)

        def answer() -> dict[str, TopicSeen] | None:
            self._client().poll(0)
            if not all(future.done() for future in asked.values()):
                return None
            return self._seen(asked, 0.0)

        return answer

    def topics(self, topics: Sequence[str], timeout: float) -> dict[str, TopicSeen]:
        """Those of the topics that are there."""
        asked = self._client().describe_topics(TopicCollection(list(topics)), request_timeout=timeout)
        return self._seen(asked, timeout)

    def offsets(self, parts: Iterable[Part], when: When | float, timeout: float) -> dict[Part, int]:
        """The first offset, the next one, or the first from a time on."""
        if when == "first":
            spec = OffsetSpec.earliest()
        elif when == "next":
            spec = OffsetSpec.latest()
        else:
            spec = OffsetSpec.for_timestamp(max(0, int(float(when) * 1000)))
        wanted = {TopicPartition(*part): spec for part in parts}
        if not wanted:
            return {}
        answers = self._led(wanted, timeout)
        found = {(part.topic, part.partition): answer.offset for part, answer in answers.items()}
        if missing := [part for part, offset in found.items() if offset < 0]:
            found.update(self.offsets(missing, "next", timeout))
        return found

    def close(self) -> None:
        """Let the admin client go."""
        self._admin = None

    def _client(self) -> AdminClient:
        if self._admin is None or self._process != os.getpid():
            keep_for_ever(self._admin)  # a forked child must not end what only its parent has
            settings = {**common_settings(self._url), "error_cb": self._note, **self._url.raw}
            self._admin, self._process = make(AdminClient, settings, self._url), os.getpid()
        return self._admin

    def _note(self, error: KafkaError) -> None:
        fault = fault_of(error.name(), error.str())
        if fault.lasting:
            self._fault = fault.or_clearer(self._fault)

    def _seen(self, asked: Mapping[str, Any], timeout: float) -> dict[str, TopicSeen]:
        answers, errors = self._answers(asked, timeout)
        for topic, error in errors.items():
            if error.code() not in (*_ABSENT, *_FORBIDDEN):
                raise self._error(error, f"the topic {topic} cannot be looked at")
        return {
            name: TopicSeen(str(found.topic_id), len(found.partitions)) for name, found in answers.items()
        }

    def _led(self, wanted: Mapping[TopicPartition, OffsetSpec], timeout: float) -> dict[Any, Any]:
        """Offsets; a partition that was just made, or whose leader has gone, needs a moment."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.1, deadline - time.monotonic())
            asked = self._client().list_offsets(dict(wanted), request_timeout=left)
            answers, errors = self._answers(asked, left)
            if not errors:
                return answers
            for part, error in errors.items():
                if error.code() not in _SOON or time.monotonic() > deadline - _AGAIN:
                    raise self._error(error, f"{part.topic} has no offsets to tell")
            time.sleep(_AGAIN)

    def _answers(self, asked: Mapping[Any, Any], timeout: float) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """What was answered, and the errors, by what was asked for."""
        self._wait(asked, timeout)
        answers: dict[Any, Any] = {}
        errors: dict[Any, KafkaError] = {}
        for name, future in asked.items():
            try:
                answers[name] = future.result(0)
            except KafkaException as error:
                errors[name] = error.args[0]
        return answers, errors

    def _wait(self, asked: Mapping[Any, Any], timeout: float) -> None:
        self._forget_fault()
        began = time.monotonic()
        while not all(future.done() for future in asked.values()):
            self._client().poll(_SLICE)
            took = time.monotonic() - began
            if took > timeout or (self._fault is not None and took > min(_HURRY, timeout)):
                raise Faults(self._url.shown, "").error(self._fault)

    def _forget_fault(self) -> None:
        self._fault = None

    def _error(self, error: KafkaError, why: str) -> Exception:
        fault = fault_of(error.name(), error.str())
        return Faults(self._url.shown, "").error(Fault(f"{why}: {fault.cause}", fault.hint))
