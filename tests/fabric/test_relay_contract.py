"""What is published through a relay keeps the contract of all fabrics, its hub's deaths included."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.relay import make_keys
from parsl_diaspora.testing.fabric_contract import FabricContract
from tests.fabric.disk import slow_disk
from tests.fabric.relay_help import Paired


class TestRelayToFile(FabricContract):
    can_break = True
    can_slow = True
    patience = 10.0
    last_words = 1.0

    @pytest.fixture
    def fabric_url(self, tmp_path):
        return f"relay:for {tmp_path}"

    @pytest.fixture
    def fabric(self, tmp_path):
        self._publishers = []
        keys = make_keys(tmp_path / "keys").parent
        fabric = Paired(self.log(tmp_path), keys)
        yield fabric
        for publisher in self._publishers:
            publisher.close()
        fabric.stop_hub()

    def log(self, tmp_path):
        return FileFabric(f"file:{tmp_path / 'events'}")

    def reopen(self, fabric):
        fabric.stop_hub()
        fabric.start_hub()
        return fabric

    def reader_url(self, fabric):
        return fabric.log.url

    def slowness(self, fabric):
        """The hub is a thread of this process."""
        return slow_disk()

    @contextmanager
    def outage(self, fabric):
        fabric.stop_hub()
        yield
        fabric.start_hub()


class TestRelayToAnyFabric(TestRelayToFile):
    can_slow = False
    reads_elsewhere = False
    backlog = 50_000

    def log(self, tmp_path):
        return open_fabric(f"memory:{tmp_path}")
