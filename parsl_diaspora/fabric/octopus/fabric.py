"""Octopus as a fabric."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from importlib.util import find_spec

from parsl_diaspora.errors import DiasporaError, FabricError, FabricUnavailable
from parsl_diaspora.fabric.kafka.clients import Client
from parsl_diaspora.fabric.kafka.consumer import KafkaConsumer
from parsl_diaspora.fabric.kafka.publisher import KafkaPublisher
from parsl_diaspora.fabric.kafka.start import Beginning
from parsl_diaspora.fabric.kafka.url import TOPICS
from parsl_diaspora.fabric.octopus.access import Access
from parsl_diaspora.fabric.octopus.url import OctopusUrl, read_octopus_url
from parsl_diaspora.fabric.protocols import Start

logger = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class OctopusFabric:
    """Topics of a namespace of Octopus.

    With a namespace in the URL nothing is asked when it is opened. The key is made once, where somebody is
    logged in to Globus, and kept in ``~/.parsl-diaspora/octopus/NAMESPACE.json``, or in the file that
    ``keys=`` names, with mode 0600: nodes read it there. `OCTOPUS_AWS_ACCESS_KEY_ID`,
    `OCTOPUS_AWS_SECRET_ACCESS_KEY` and `OCTOPUS_BOOTSTRAP_SERVERS` together take the place of the file.

    Args:
        url: ``octopus:[NAMESPACE[/PREFIX]]?option=value&...``

    Raises:
        FabricError: the URL or an option of it is wrong.
        FabricUnavailable: the SDK or confluent-kafka is not installed, or the service does not tell the
            namespace.

    Example:
        >>> from parsl_diaspora.fabric.octopus.url import read_octopus_url
        >>> read_octopus_url("octopus:ns-0123456789ab").topic("failures")
        'parsl-diaspora-failures'
    """

    def __init__(self, url: str) -> None:
        read = read_octopus_url(url)
        self._access = Access(read)
        if read.via != "https" and find_spec("confluent_kafka") is None:
            hint = "Run: pip install 'parsl-diaspora[octopus]', or use via=https."
            message = "confluent-kafka, which speaks with the brokers of Octopus, is not installed."
            raise FabricUnavailable(message, url=read.shown, hint=hint)
        self._kafka_url = self._access.url.kafka()
        self._lock = threading.Lock()
        self._way = ""
        self._is_prepared = False
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"OctopusFabric({self.url!r})"

    @property
    def _url(self) -> OctopusUrl:
        return self._access.url

    @property
    def url(self) -> str:
        """The URL, with the namespace."""
        return self._url.shown

    @property
    def node_url(self) -> str | None:
        """The URL for nodes: it names the file with the key, which is there then, or is for the environment.

        None where there is no key, and over HTTPS, for which nodes have no login: their events go by way of
        the submitting process.
        """
        if self._chosen() == "https":
            text = "Worker processes have no login to Globus, so they cannot use %s over HTTPS."
            logger.info(text, self.url)
            return None
        try:
            self._access.keys()
        except DiasporaError as error:
            logger.warning("Worker processes do not get the URL of Octopus. %s", error)
            return None
        self._prepare()
        if self._access.by_environment:
            return self._url.written(login="never", via="kafka")
        return self._url.written(login="never", via="kafka", keys=str(self._access.file))

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> KafkaPublisher:
        """A publisher for one source.

        Args:
            source: who speaks.
            buffer: events kept in memory until the cluster has acknowledged them.
            immediate: let `publish` wait up to 0.5 s for the cluster, and not at all while it is away.
        """
        return KafkaPublisher(self._kafka_url, self._made_client(), source, buffer, immediate)

    def consumer(self, name: str, *, start: Start | Mapping[str, int] = "earliest") -> KafkaConsumer:
        """The named consumer; its positions are the committed offsets of the group ``NAMESPACE.PREFIX.NAME``.

        Args:
            name: of the reader.
            start: ``earliest``, ``latest``, seconds since the epoch, or what ``position()`` gave.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
        """
        if not _NAME.fullmatch(name):
            hint = "Use up to 64 letters, digits, '.', '_' and '-'."
            raise FabricError(f"{name!r} is no name for a consumer.", url=self.url, hint=hint)
        return KafkaConsumer(self._kafka_url, self._made_client(), name, Beginning(start))

    def close(self) -> None:
        """Nothing is held open beside publishers and consumers."""

    def _prepare(self) -> None:
        """Ask for the topics, which nodes cannot do, without waiting until they are there."""
        if self._is_prepared or self._access.service is None:
            return
        try:
            self._access.prepare([self._kafka_url.topic(name) for name in TOPICS])
        except DiasporaError as error:
            logger.warning("The first event that is published here will make the topics. %s", error)
        else:
            self._is_prepared = True

    def _chosen(self) -> str:
        with self._lock:
            self._way = self._way or self._access.way()
            return self._way

    def _made_client(self) -> Client:
        way = self._chosen()
        if self._client is None:
            self._client = self._rest() if way == "https" else self._kafka()
        return self._client

    def _kafka(self) -> Client:
        from parsl_diaspora.fabric.octopus.kafka import OctopusKafka

        client = OctopusKafka(self._access)
        client.check(self._kafka_url)
        return client

    def _rest(self) -> Client:
        from parsl_diaspora.fabric.octopus.rest import RestClient

        if self._access.service is None:
            hint = "Use via=kafka on nodes, or let them publish by way of the submitting process."
            message = "Without a login to Globus Octopus cannot be used over HTTPS."
            raise FabricUnavailable(message, url=self.url, hint=hint)
        return RestClient(self._access, self._access.service)
