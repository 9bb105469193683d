"""Keys, names and ways of Octopus, with the unmodified SDK."""

from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.octopus import service
from parsl_diaspora.fabric.octopus.url import read_octopus_url
from tests.fabric.kafka_help import opened, read, say, tasks
from tests.waiting import becomes

_NODE = """
import sys
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
publisher = open_fabric(sys.argv[1]).publisher("node")
publisher.publish(TaskSubmitted(run="r", task=7))
print(publisher.close(20.0).safe)
"""


# --- the URL ---


def test_topics_are_named_by_prefix_and_fit_into_32_characters():
    url = read_octopus_url("octopus:ns-0123456789ab/a-prefix-of-22-letters")
    names = [url.topic(name) for name in ("tasks", "resources", "failures", "control")]
    assert names[0] == "a-prefix-of-22-letters-tasks"
    assert max(map(len, names)) == 32
    assert url.kafka().topic("tasks") == "ns-0123456789ab.a-prefix-of-22-letters-tasks"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("octopus:ns-1/a-prefix-of-23-letters-", "too long"),
        ("octopus:ns-1/-runs", "no prefix"),
        ("octopus:ns-1/_runs", "no prefix"),
        ("octopus:ns-1/ru.ns", "no prefix"),
        ("octopus:n_s/runs", "no namespace"),
        ("octopus:ns-1/runs?via=mail", "cannot be 'mail'"),
        ("octopus:ns-1/runs?key=f", "no option 'key'"),
        ("octopus:ns-1/runs?partitions=3", "no option 'partitions'"),
        ("octopus:ns-1/runs?compression=zip", "'compression' cannot be 'zip'"),
        ("octopus:ns-1/runs?rdkafka.sasl.password=x", "is a secret"),
        ("octopus:ns-1/runs?via", "name=value"),
    ],
)
def test_wrong_urls_are_refused_with_a_reason_and_a_remedy(url, words):
    with pytest.raises(FabricError, match=words) as raised:
        open_fabric(url)
    assert raised.value.hint


def test_missing_sdk_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setattr(service, "find_spec", lambda name: None)
    with pytest.raises(FabricUnavailable, match="diaspora-event-sdk") as raised:
        open_fabric("octopus:ns-1/runs")
    assert "parsl-diaspora[octopus]" in raised.value.hint


# --- keys ---


def test_key_is_made_once_and_kept_for_this_user_alone(octopus):
    for _ in range(2):
        with opened(octopus.url()) as (fabric, publisher):
            say(publisher, range(1))
            assert publisher.flush(20.0).safe == 1
            assert fabric.node_url is not None
    assert octopus.keys_made == 1
    place = Path.home() / ".parsl-diaspora" / "octopus" / f"{octopus.namespace}.json"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert json.loads(place.read_text())["secret_key"] == octopus.secret_key


def test_node_publishes_with_the_file_alone_and_never_asks_the_web_service(octopus, tmp_path, monkeypatch):
    with opened(octopus.url(keys=tmp_path / "key")) as (fabric, publisher):
        say(publisher, range(1))
        assert publisher.flush(20.0).safe == 1
        url = fabric.node_url
        assert octopus.secret_key not in url
        assert octopus.access_key not in url
        asked = len(octopus.requests)
        monkeypatch.delenv("DIASPORA_SDK_CLIENT_SECRET")
        monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", "http://127.0.0.1:1/")
        command = [sys.executable, "-c", _NODE, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == "1\n", done.stderr
        assert len(octopus.requests) == asked
        assert tasks(read(fabric.consumer("reader"), 2)) == [0, 7]


def test_environment_takes_the_place_of_the_file(octopus, monkeypatch):
    with opened(octopus.url()) as (_, publisher):
        say(publisher, range(1))  # makes the topics
        publisher.flush(20.0)
    url = f"{octopus.url('there')}&login=never"
    monkeypatch.setenv("OCTOPUS_AWS_ACCESS_KEY_ID", octopus.access_key)
    monkeypatch.setenv("OCTOPUS_AWS_SECRET_ACCESS_KEY", octopus.secret_key)
    monkeypatch.setenv("OCTOPUS_BOOTSTRAP_SERVERS", octopus.endpoint)
    with opened(octopus.url("there")) as (fabric, publisher):
        assert "keys=" not in fabric.node_url
        with opened(url) as (_, node):
            say(node, range(3))
            assert node.flush(20.0).safe == 3
        assert tasks(read(fabric.consumer("reader"), 3)) == [0, 1, 2]


def test_file_that_others_can_read_is_refused(octopus, tmp_path):
    place = tmp_path / "key"
    url = octopus.url(keys=place)
    assert open_fabric(url).node_url
    place.chmod(0o640)
    with pytest.raises(FabricError, match="read or written by other users") as raised:
        open_fabric(url)._access.keys()
    assert raised.value.hint == f"Run: chmod 600 {place}"


def test_node_without_a_key_says_what_is_missing(octopus, caplog):
    with opened(octopus.url() + "&login=never") as (fabric, publisher):
        say(publisher, range(1))
        assert becomes(lambda: "The key of Octopus is not there" in caplog.text)
        assert fabric.node_url is None
        assert publisher.flush(0.1).waiting == 1
    assert octopus.requests == []


def test_without_a_login_https_is_refused_clearly(octopus):
    fabric = open_fabric(octopus.url(via="https", login="never"))
    with pytest.raises(FabricUnavailable, match="Without a login to Globus"):
        fabric.publisher("node")


def test_login_never_waits_for_a_person(octopus, monkeypatch):
    monkeypatch.delenv("DIASPORA_SDK_CLIENT_ID")
    monkeypatch.delenv("DIASPORA_SDK_CLIENT_SECRET")
    with pytest.raises(FabricUnavailable, match="nobody is logged in") as raised:
        open_fabric("octopus:?security=plaintext")
    assert "Log in once" in raised.value.hint


def test_namespace_comes_from_the_service_where_the_url_has_none(octopus):
    fabric = open_fabric("octopus:?security=plaintext")
    assert fabric.url == f"octopus:{octopus.namespace}/parsl-diaspora?security=plaintext"
    assert repr(fabric) == f"OctopusFabric({fabric.url!r})"


def test_topics_in_anothers_namespace_are_refused(octopus, caplog):
    url = f"octopus:ns-other/{uuid.uuid4().hex[:8]}?security=plaintext"
    with opened(url) as (_, publisher):
        say(publisher, range(1))
        assert becomes(lambda: f"your namespace is {octopus.namespace!r}" in caplog.text.replace('"', "'"))


# --- ways ---


def test_way_is_https_where_no_broker_can_be_reached(octopus, caplog):
    octopus.endpoint = "127.0.0.1:1"
    with opened(octopus.url(via="auto")) as (fabric, publisher):
        say(publisher, range(5))
        assert publisher.flush(20.0).safe == 5
        assert "so events go over HTTPS" in caplog.text
        assert fabric.node_url is None
        assert tasks(read(fabric.consumer("reader"), 5)) == list(range(5))


def test_way_is_kafka_where_a_broker_listens(octopus):
    with opened(octopus.url(via="auto")) as (fabric, publisher):
        say(publisher, range(5))
        assert publisher.flush(20.0).safe == 5
        assert "via=kafka" in fabric.node_url
        assert not [path for _, path in octopus.requests if "records" in path]


def test_both_ways_share_topics_and_positions(octopus):
    prefix = uuid.uuid4().hex[:12]
    with (
        opened(octopus.url(prefix)) as (kafka, by_kafka),
        opened(octopus.url(prefix, via="https")) as (rest, by_rest),
    ):
        say(by_kafka, range(3))
        assert by_kafka.flush(20.0).safe == 3
        say(by_rest, range(3, 6))
        assert by_rest.flush(20.0).safe == 3
        first = kafka.consumer("reader")
        assert tasks(read(first, 6)) == list(range(6))
        first.commit()
        first.close()
        say(by_kafka, range(6, 8))
        by_kafka.flush(20.0)
        second = rest.consumer("reader")
        assert tasks(read(second, 2)) == [6, 7]
        second.close()


def test_service_that_wants_names_without_the_namespace_is_given_such(octopus):
    octopus.short = True
    prefix = uuid.uuid4().hex[:12]
    with opened(octopus.url(prefix, via="https", names="short")) as (fabric, publisher):
        say(publisher, range(5))
        assert publisher.flush(20.0).safe == 5
        reader = fabric.consumer("reader")
        assert reader.lag() == 5
        assert tasks(read(reader, 5)) == list(range(5))
        reader.commit()
        reader.close()
        say(publisher, range(5, 8))
        publisher.flush(20.0)
        again = fabric.consumer("reader")
        assert tasks(read(again, 3)) == [5, 6, 7]
        again.close()


# --- secrets ---


def test_token_is_made_by_the_sdk_and_no_secret_shows_when_it_is_refused(octopus, caplog):
    """As with a revoked key: only AWS can check the token, and the broker of these tests refuses it."""
    caplog.set_level(logging.DEBUG)
    octopus.endpoint = octopus.broker.address("SASL_PLAINTEXT")
    with opened(octopus.url(security="sasl_plaintext")) as (fabric, publisher):
        token, end = fabric._access.token()
        assert len(token) > 100
        assert end > 0
        say(publisher, range(3))
        assert becomes(lambda: "the login was refused by the brokers" in caplog.text)
        assert "The key was revoked" in caplog.text
        assert publisher.flush(0.1).waiting == 3
        with pytest.raises(FabricUnavailable, match="login was refused") as raised:
            fabric.consumer("reader").poll(0.5)
        shown = [fabric.url, repr(fabric), repr(fabric._access.keys()), repr(raised.value), raised.value.hint]
        shown += [fabric.node_url or "", caplog.text]
    for secret in (octopus.secret_key, octopus.access_key, octopus.token, token):
        assert not [text for text in shown if secret in text]
