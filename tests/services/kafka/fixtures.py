"""The broker as a fixture: one for all tests of a session."""

from __future__ import annotations

import os

import pytest

from tests.services.kafka.broker import Broker
from tests.services.kafka.jars import Missing

VARIABLE = "PARSL_DIASPORA_TEST_SERVICES"


def missing(why: object) -> None:
    """Skip, or fail where the environment says that services are required."""
    if os.environ.get(VARIABLE) == "required":
        pytest.fail(f"{VARIABLE}=required, but {why}", pytrace=False)
    pytest.skip(str(why))


@pytest.fixture(scope="session")
def kafka_session(tmp_path_factory):
    """A real broker, or the reason why there is none."""
    pytest.importorskip("confluent_kafka")
    try:
        broker = Broker(tmp_path_factory.mktemp("kafka"))
    except Missing as error:
        yield error
        return
    yield broker
    broker.close()


@pytest.fixture
def kafka(kafka_session):
    """The session's broker; it runs, whatever the test before did to it."""
    if isinstance(kafka_session, Missing):
        missing(kafka_session)
    if not kafka_session.runs():
        kafka_session.start()
    kafka_session.thaw()
    return kafka_session
