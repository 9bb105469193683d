"""What clients of librdkafka are made with."""

from __future__ import annotations

import logging
from typing import Any

from parsl_diaspora.fabric.kafka.security import librdkafka_security
from parsl_diaspora.fabric.kafka.url import KafkaUrl

logger = logging.getLogger(__name__)

KILOBYTES = 64 * 1024  # that librdkafka may hold


class LibraryLog:
    """Takes librdkafka's own lines, which would flood a terminal while no server answers."""

    def log(self, level: int, message: str, *values: Any) -> None:
        """Keep a line for those who look at debug messages."""
        del level
        logger.debug(message, *values)


def common_settings(url: KafkaUrl) -> dict[str, Any]:
    """What all clients of librdkafka are made with.

    Raises:
        FabricError: credentials are missing.
    """
    return {
        "bootstrap.servers": ",".join(url.servers),
        "client.id": "parsl-diaspora",
        "reconnect.backoff.ms": 100,
        "reconnect.backoff.max.ms": 2000,
        "socket.keepalive.enable": True,
        "log.connection.close": False,
        **librdkafka_security(url),
    }


def producer_settings(url: KafkaUrl, linger: float) -> dict[str, Any]:
    """What the producer is made with; the URL's own options for librdkafka come last."""
    return {
        **common_settings(url),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": url.options.get("compression", "lz4"),
        "linger.ms": linger * 1000,
        "message.timeout.ms": 0,  # for ever: what the callers' side holds is bounded, and it is told the truth
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": KILOBYTES,
        "partitioner": "murmur2_random",  # as other clients do it
        "topic.metadata.propagation.max.ms": 3000,
        "retry.backoff.max.ms": 500,
        "delivery.report.only.error": True,
        **url.raw,
    }
