"""By Kafka's own protocol: the client of ``kafka:``, with keys and tokens, and topics made by the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from parsl_diaspora.fabric.kafka.clients import OnFailure, OnFault, TopicSeen
from parsl_diaspora.fabric.kafka.confluent import ConfluentClient, ConfluentReceiver, ConfluentSender
from parsl_diaspora.fabric.kafka.confluent_cluster import ConfluentCluster
from parsl_diaspora.fabric.kafka.faults import Fault
from parsl_diaspora.fabric.kafka.url import KafkaUrl
from parsl_diaspora.fabric.octopus.access import Access
from parsl_diaspora.fabric.octopus.service import await_topics

_LOGIN = "the login was refused"


class OctopusKafka(ConfluentClient):
    """Makes senders, receivers and clusters for the brokers of Octopus; each looks up the key.

    Args:
        access: to the brokers.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def sender(self, url: KafkaUrl, failed: OnFailure, fault: OnFault, *, linger: float) -> ConfluentSender:
        """An idempotent producer."""
        return super().sender(self._access.reached(url), failed, self._told(fault), linger=linger)

    def receiver(self, url: KafkaUrl, group: str, fault: OnFault) -> ConfluentReceiver:
        """A consumer of assigned partitions."""
        return super().receiver(self._access.reached(url), group, self._told(fault))

    def cluster(self, url: KafkaUrl) -> OctopusCluster:
        """An admin client, and the web service for new topics."""
        return OctopusCluster(url, self._access)

    def _told(self, fault: OnFault) -> OnFault:
        return lambda found: fault(with_remedy(found, self._access))


class OctopusCluster(ConfluentCluster):
    """Topics are looked at by Kafka's protocol, and made by the web service.

    Args:
        url: as Kafka's client understands it, without servers.
        access: to brokers and service.
    """

    def __init__(self, url: KafkaUrl, access: Access) -> None:
        super().__init__(url)
        self._access = access
        self._is_reached = False

    def ensure(self, topics: Sequence[str], timeout: float) -> None:
        """Have those topics made that are missing, and wait until they are there."""

        def seen() -> set[str]:
            return set(self.topics(topics, timeout))

        there = seen()
        if missing := [topic for topic in topics if topic not in there]:
            self._access.make_topics(missing)
            await_topics(seen, topics, self._url.shown)

    def look(self, topics: Sequence[str]) -> Callable[[], dict[str, TopicSeen] | None]:
        """Ask for the topics that are there."""
        self._client()
        return super().look(topics)

    def _client(self) -> AdminClient:
        if not self._is_reached:
            self._url, self._is_reached = self._access.reached(self._url), True
        return super()._client()

    def _note(self, error: KafkaError) -> None:
        super()._note(error)
        if self._fault is not None:
            self._fault = with_remedy(self._fault, self._access)


def with_remedy(fault: Fault, access: Access) -> Fault:
    """A refused login, with what to do about the key."""
    if not fault.cause.startswith(_LOGIN):
        return fault
    if access.by_environment:
        hint = "The key was revoked or is another user's: set OCTOPUS_AWS_* anew."
    else:
        hint = f"The key was revoked or is another user's: delete {access.file} where you are logged in."
    return Fault(f"{_LOGIN} by the brokers", hint)
