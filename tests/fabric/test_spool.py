"""Store and forward: what waits, what goes on, and what is said of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Fabric, Publisher, open_fabric
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.testing.fabric_contract import FabricContract


class SpoolContract(FabricContract):
    """A spool in front of another fabric keeps what that one promises, once it has handed on."""

    @pytest.fixture
    def fabric(self, fabric_url: str, tmp_path) -> Iterator[Fabric]:
        self._publishers: list[Publisher] = []
        self._spool = fabric = SpooledFabric(open_fabric(fabric_url), tmp_path / "spool")
        yield fabric
        for publisher in self._publishers:
            publisher.close()
        fabric.close()
        assert list((tmp_path / "spool").glob("*.events")) == []

    def say(self, publisher: Publisher, numbers: range) -> None:
        """As ever, and let the spool hand it on: a reader may begin right afterwards."""
        super().say(publisher, numbers)
        assert self._spool.drain(self.patience)


class TestSpooledMemory(SpoolContract):
    reaches_processes = False

    @pytest.fixture
    def fabric_url(self):
        return f"memory:{uuid.uuid4().hex}"


class TestSpooledFile(SpoolContract):
    @pytest.fixture
    def fabric_url(self, tmp_path):
        return f"file:{tmp_path / 'events'}"
