"""Logins and encryption against the listeners of a real broker."""

from __future__ import annotations

import base64
import json
import time

import pytest

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.fabric import open_fabric
from tests.fabric.kafka_help import opened, read, say, tasks
from tests.services.kafka.broker import PASSWORD, USER
from tests.waiting import becomes

pytest.importorskip("confluent_kafka")
HERE = "tests.fabric.test_kafka_security"


def unsigned_token(config):
    """A token as the broker of these tests takes it: nobody has signed it."""
    del config
    now = time.time()
    parts = [{"alg": "none"}, {"sub": USER, "iat": now, "exp": now + 600}]
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*text, ""]), now + 600


def failing_token(config):
    raise RuntimeError("nobody gives a token")


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="utf-8")
    return path


def login(kafka, listener, user=USER, **options):
    url = kafka.url(**options)
    who = f"{user}@" if user else ""
    return url.replace("kafka://", f"kafka://{who}").replace(kafka.address(), kafka.address(listener))


def works(url):
    """Events go and come under the URL, and under the one that is shown."""
    with opened(url) as (fabric, publisher):
        say(publisher, range(3))
        assert publisher.flush(20.0).safe == 3
        again = open_fabric(fabric.url)
        assert again.node_url == fabric.url
        assert PASSWORD not in fabric.url
        reader = again.consumer("reader")
        assert tasks(read(reader, 3)) == [0, 1, 2]
        reader.commit()
        reader.close()


@pytest.mark.parametrize("sasl", ["PLAIN", "SCRAM-SHA-256"])
def test_login_with_a_password_from_a_file(kafka, password_file, sasl):
    works(login(kafka, "SASL_PLAINTEXT", sasl=sasl, password_file=password_file))


def test_login_with_a_password_from_the_environment(kafka, monkeypatch):
    monkeypatch.setenv("KAFKA_PASSWORD_OF_ANNA", PASSWORD)
    works(login(kafka, "SASL_PLAINTEXT", password_env="KAFKA_PASSWORD_OF_ANNA"))


def test_login_with_tokens_from_a_function(kafka):
    works(login(kafka, "SASL_PLAINTEXT", user="", token_function=f"{HERE}:unsigned_token"))


def test_encrypted_connection_with_and_without_a_certificate_of_ours(kafka):
    keys = kafka.certificates
    works(login(kafka, "SSL", user="", ca_file=keys / "ca.pem"))
    own = {"cert_file": keys / "client.pem", "key_file": keys / "client.key"}
    works(login(kafka, "SSL", user="", ca_file=keys / "ca.pem", **own))


def test_login_over_an_encrypted_connection(kafka, password_file):
    ca = kafka.certificates / "ca.pem"
    works(login(kafka, "SASL_SSL", ca_file=ca, password_file=password_file))


@pytest.mark.parametrize("wrong", ["password", "authority", "no TLS", "TLS", "token"])
def test_refused_connection_names_its_cause_and_a_remedy(kafka, tmp_path, caplog, wrong):
    bad = tmp_path / "bad"
    bad.write_text("Sesam, geh zu!", encoding="utf-8")
    url, said = {
        "password": (login(kafka, "SASL_PLAINTEXT", password_file=bad), "login was refused"),
        "authority": (
            login(kafka, "SSL", user="", ca_file=kafka.certificates / "other.pem"),
            "TLS failed",
        ),
        "no TLS": (login(kafka, "SSL", user=""), "Check"),
        "TLS": (login(kafka, "PLAINTEXT", user="", tls="true"), "TLS failed"),
        "token": (
            login(kafka, "SASL_PLAINTEXT", user="", token_function=f"{HERE}:failing_token"),
            "login was refused",
        ),
    }[wrong]
    with opened(url) as (fabric, publisher):
        say(publisher, range(5))
        assert becomes(lambda: said in caplog.text)
        assert (publisher.flush(0.1).safe, publisher.flush(0.1).waiting) == (0, 5)
        assert fabric.url in caplog.text
        assert "geh zu" not in caplog.text
        with pytest.raises(FabricUnavailable, match=said) as raised:
            fabric.consumer("reader").poll(0.1)
        assert "Check" in raised.value.hint


def test_credentials_that_are_not_there_are_errors_at_once(monkeypatch, tmp_path):
    monkeypatch.delenv("NO_SUCH_PASSWORD", raising=False)
    for url, said in (
        ("kafka://anna@h?password_env=NO_SUCH_PASSWORD", "NO_SUCH_PASSWORD"),
        (f"kafka://anna@h?password_file={tmp_path / 'nowhere'}", "nowhere"),
        ("kafka://anna@h?sasl=PLAIN", "no password"),
        ("kafka://h?sasl=PLAIN", "needs a user"),
        ("kafka://h?ca_file=/nowhere/ca.pem", "ca.pem"),
        ("kafka://h?token_function=no.such.module:tokens", "no.such.module"),
    ):
        with pytest.raises(FabricError, match=said):
            open_fabric(url)
