"""A fake scheduler as a fixture."""

from __future__ import annotations

import pytest

from tests.services.scheduler.fake import FakeScheduler


@pytest.fixture
def scheduler(tmp_path, monkeypatch):
    """A fake scheduler whose commands this process, and what it starts, find on PATH."""
    fake = FakeScheduler(tmp_path)
    for name, value in fake.env.items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.close()
