"""What clients of librdkafka are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from parsl_diaspora.errors import DiasporaError, FabricError
from parsl_diaspora.fabric.kafka.faults import Fault, Faults, fault_of
from parsl_diaspora.fabric.kafka.security import TokenFunction, librdkafka_security
from parsl_diaspora.fabric.kafka.url import KafkaUrl

T = TypeVar("T")
KILOBYTES = 64 * 1024  # that librdkafka may hold
_IN_FLIGHT = ("max.in.flight", "max.in.flight.requests.per.connection")  # two names of one setting


def make(kind: Callable[..., T], settings: dict[str, Any], url: KafkaUrl) -> T:
    """A client of librdkafka.

    Raises:
        FabricError: librdkafka does not know a setting, or not such a value.
        FabricUnavailable: it cannot be made now, as no token is to be had.
    """
    if function := settings.get("oauth_cb"):
        _try_tokens(function, url)
    try:
        return kind(settings)
    except KafkaException as error:
        found = error.args[0]
        if found.name() == "_INVALID_ARG":
            hint = "Options for librdkafka are written 'rdkafka.NAME=VALUE' in the URL."
            message = f"librdkafka cannot work with the options: {found.str()}."
            raise FabricError(message, url=url.shown, hint=hint) from error
        raise Faults(url.shown, "").error(fault_of(found.name(), found.str())) from error


def _try_tokens(function: TokenFunction, url: KafkaUrl) -> None:
    """Ask for a token: librdkafka would wait for one for 10 s, and not say why there is none."""
    try:
        function("")
    except DiasporaError:
        raise  # it says what is missing
    except Exception as error:  # a program's own function may raise anything
        named = url.options.get("token_function", "the function of tokens")
        why = f"the login was refused, as {named} gave no token ({error!r})"
        raise Faults(url.shown, "").error(Fault(why, "Check the function.")) from error


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
        "topic.metadata.refresh.fast.interval.ms": 20,  # until the leader of a new partition is known
        "log_level": 0,  # librdkafka would flood a terminal while no server answers; `error_cb` tells us
        **librdkafka_security(url),
    }


def producer_settings(url: KafkaUrl, linger: float) -> dict[str, Any]:
    """What the producer is made with; the URL's own options for librdkafka come last."""
    at_once = next((url.raw[name] for name in _IN_FLIGHT if name in url.raw), "1")
    return {
        **common_settings(url),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": url.options.get("compression", "lz4"),
        "linger.ms": linger * 1000,
        "message.timeout.ms": 0,  # for ever: what the callers' side holds is bounded
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": KILOBYTES,
        "partitioner": "murmur2_random",  # as other clients do it
        "topic.metadata.propagation.max.ms": 3000,
        "retry.backoff.max.ms": 500,
        **{name: value for name, value in url.raw.items() if name not in _IN_FLIGHT},
        # a partition that knows nothing of a producer yet takes the second batch though the first was refused
        _IN_FLIGHT[0]: at_once,
        "delivery.report.only.error": False,  # whether all has an offset decides what is safe
    }
