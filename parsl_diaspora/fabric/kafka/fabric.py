"""A Kafka cluster as a fabric."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric.kafka.clients import client_for
from parsl_diaspora.fabric.kafka.consumer import KafkaConsumer
from parsl_diaspora.fabric.kafka.publisher import KafkaPublisher
from parsl_diaspora.fabric.kafka.security import librdkafka_security
from parsl_diaspora.fabric.kafka.start import Beginning
from parsl_diaspora.fabric.kafka.url import read_url
from parsl_diaspora.fabric.protocols import Start

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class KafkaFabric:
    """Topics of a Kafka cluster. It connects when a publisher speaks or a consumer is made, not when opened.

    Args:
        url: ``kafka://HOST:PORT[,HOST:PORT]/PREFIX?option=value&...``

    Raises:
        FabricError: the URL or an option of it is wrong, or credentials that it names are not there.
        FabricUnavailable: no client library is installed.

    Example:
        >>> KafkaFabric("kafka://broker:9092/runs").url
        'kafka://broker:9092/runs'
    """

    def __init__(self, url: str) -> None:
        self._url = read_url(url)
        librdkafka_security(self._url)  # what is missing is said now
        self._client = client_for(self._url)
        self._client.check(self._url)

    @property
    def url(self) -> str:
        """The URL without secrets; it opens the same fabric, if the given one named a file or variable."""
        return self._url.shown

    @property
    def node_url(self) -> str | None:
        """The same URL; None if secrets stood in the given one: they do not travel with tasks."""
        if secrets := self._url.secrets:
            hint = "Use password_file= or password_env= to let worker processes publish there, too."
            logger.warning(
                "Worker processes do not get the URL of Kafka, as it holds %s. %s", secrets[0], hint
            )
            return None
        return self._url.shown

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> KafkaPublisher:
        """A publisher for one source.

        Args:
            source: who speaks.
            buffer: events kept in memory until the cluster has acknowledged them.
            immediate: let `publish` wait up to 0.5 s for the cluster, and not at all while it is away. Such a
                publisher connects when it is made, in up to 5 s.
        """
        return KafkaPublisher(self._url, self._client, source, buffer, immediate)

    def consumer(self, name: str, *, start: Start | Mapping[str, int] = "earliest") -> KafkaConsumer:
        """The named consumer; its positions are the committed offsets of the group ``PREFIX.NAME``.

        Args:
            name: of the reader.
            start: ``earliest``, ``latest``, seconds since the epoch, or what `KafkaConsumer.position` gave.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
        """
        if not _NAME.fullmatch(name):
            hint = "Use up to 64 letters, digits, '.', '_' and '-'."
            raise FabricError(f"{name!r} is no name for a consumer.", url=self.url, hint=hint)
        return KafkaConsumer(self._url, self._client, name, Beginning(start))

    def close(self) -> None:
        """Nothing is held open beside publishers and consumers."""
