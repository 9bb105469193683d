"""The stand-in as a fixture: one for all tests of a session, in front of the session's broker."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.services.kafka.fixtures import missing


@pytest.fixture(scope="session")
def octopus_session():
    """Makes the stand-in when it is first asked for."""
    made = []

    def make(broker):
        from tests.services.octopus.service import OctopusService

        if not made:
            made.append(OctopusService(broker))
        return made[0]

    yield make
    for service in made:
        service.close()


@pytest.fixture
def octopus(kafka, octopus_session, tmp_path, monkeypatch):
    """The session's stand-in, with nothing wrong; the SDK logs in there, and knows no other."""
    if find_spec("diaspora_event_sdk") is None:
        missing("diaspora-event-sdk is not installed")
    service = octopus_session(kafka)
    service.reset()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIASPORA_USER_DIR", str(tmp_path / "diaspora"))
    monkeypatch.setenv("DIASPORA_SDK_CLIENT_ID", "c0ffee00-0000-4000-8000-000000000000")
    monkeypatch.setenv("DIASPORA_SDK_CLIENT_SECRET", "a secret of the client")
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_AUTH", service.address + "/")
    monkeypatch.setattr("diaspora_event_sdk.sdk.client.get_web_service_url", lambda _=None: service.address)
    for name in ("OCTOPUS_AWS_ACCESS_KEY_ID", "OCTOPUS_AWS_SECRET_ACCESS_KEY", "OCTOPUS_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    return service
