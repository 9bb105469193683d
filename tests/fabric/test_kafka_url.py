"""The URL of a Kafka fabric: what it may hold, and what of it is shown."""

from __future__ import annotations

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.kafka.confluent_settings import common_settings, producer_settings
from parsl_diaspora.fabric.kafka.url import read_url
from parsl_diaspora.masking import without_secrets

pytest.importorskip("confluent_kafka")


def test_servers_and_prefix_have_defaults():
    assert read_url("kafka://one,two:9094").shown == "kafka://one:9092,two:9094/parsl-diaspora"
    assert read_url("kafka:one").servers == ("one:9092",)
    assert read_url("kafka://[::1]:9093/x").servers == ("[::1]:9093",)


def test_topics_are_named_by_the_prefix():
    assert read_url("kafka://h/runs").topics == (
        "runs.tasks",
        "runs.resources",
        "runs.failures",
        "runs.control",
    )
    some = read_url("kafka://h/runs?topics=tasks,failures")
    assert some.topics == ("runs.tasks", "runs.failures")
    assert not some.reads_all


def test_what_is_shown_opens_the_same_fabric():
    url = (
        "kafka://anna@h:9092/p?compression=zstd&partitions=3&password_env=HOME&rdkafka.linger.ms=1&sasl=PLAIN"
    )
    fabric = open_fabric(url)
    assert fabric.url == url
    assert open_fabric(fabric.url).url == fabric.node_url == url
    assert without_secrets(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "kafka://me:s3cret@h:9092/p",
        "kafka://h:9092/p?rdkafka.sasl.password=s3cret",
        "kafka://h:9092/p?rdkafka.ssl.key.pem=s3cret",
    ],
)
def test_secrets_in_the_url_are_not_shown_and_not_handed_on(url):
    read = read_url(url)
    assert "s3cret" not in read.shown + repr(read)
    assert read.secrets
    with pytest.raises(FabricError, match="was taken out"):
        open_fabric(read.shown)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("kafka://h?compresion=lz4", "compression"),
        ("kafka://h?partition=4", "partitions"),
        ("kafka://h?password_fiel=x", "password_file"),
        ("kafka://h?linger.ms=4", "rdkafka.linger.ms"),
        ("kafka://h?zzz=1", "The options are"),
        ("kafka://h?partitions=none", "whole number"),
        ("kafka://h?partitions=0", "whole number"),
        ("kafka://h?compression=rar", "lz4"),
        ("kafka://h?retention=long", "12h"),
        ("kafka://h?topics=tasks,nodes", "failures"),
        ("kafka://h?tls=yes", "true or false"),
        ("kafka://h?partitions=", "kafka://host"),
        ("kafka://h?partitions", "kafka://host"),
        ("kafka://", "kafka://host"),
        ("kafka://a b/p", "kafka://host"),
        ("kafka://h/a prefix", "letters"),
        ("kafka://h?rdkafka.no.such.thing=1", "rdkafka.NAME"),
        ("kafka://h?rdkafka.linger.ms=soon", "rdkafka.NAME"),
    ],
)
def test_wrong_url_is_an_error_that_says_what_would_be_right(url, hint):
    with pytest.raises(FabricError) as raised:
        open_fabric(url)
    assert hint in raised.value.hint


def test_producer_is_idempotent_and_never_gives_up_by_itself():
    settings = producer_settings(read_url("kafka://h?rdkafka.batch.num.messages=7"), 0.005)
    assert (settings["enable.idempotence"], settings["acks"]) == (True, "all")
    assert (settings["compression.type"], settings["message.timeout.ms"]) == ("lz4", 0)
    assert settings["batch.num.messages"] == "7"
    assert settings["queue.buffering.max.kbytes"] == 65536


def test_security_follows_from_what_is_given(tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    assert common_settings(read_url("kafka://h"))["security.protocol"] == "PLAINTEXT"
    settings = common_settings(read_url(f"kafka://anna:pw%40x@h?sasl=SCRAM-SHA-512&ca_file={ca}"))
    assert settings["security.protocol"] == "SASL_SSL"
    assert settings["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (settings["sasl.username"], settings["sasl.password"]) == ("anna", "pw@x")
    assert settings["ssl.ca.location"] == str(ca)


def test_times_in_options_are_read_with_their_units():
    assert read_url("kafka://h?retention=7d").retention_ms == 604_800_000
    assert read_url("kafka://h").retention_ms is None
    assert read_url("kafka://h?order_wait=2").order_wait == 2.0
