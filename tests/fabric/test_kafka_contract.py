"""A real Kafka broker keeps the contract of all fabrics, when it stands still included."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from parsl_diaspora.testing.fabric_contract import FabricContract


class TestKafka(FabricContract):
    can_break = True
    patience = 20.0

    @pytest.fixture
    def fabric_url(self, kafka):
        self._broker = kafka
        return kafka.url(partitions=2)

    @contextmanager
    def outage(self, fabric):
        """The broker stands still: connections stay open and nothing is answered."""
        del fabric
        with self._broker.frozen():
            yield
