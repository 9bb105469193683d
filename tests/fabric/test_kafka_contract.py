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

    # Under heavy load these two may fail: an immediate publisher waits for the cluster for a bounded time,
    # and a batch that is sent again may come behind later ones.

    @pytest.mark.slow
    def test_killed_process_leaves_what_it_published_at_once(self, fabric):
        super().test_killed_process_leaves_what_it_published_at_once(fabric)

    @pytest.mark.slow
    def test_order_of_one_source_is_kept_with_several_threads_publishing(self, fabric, immediate):
        super().test_order_of_one_source_is_kept_with_several_threads_publishing(fabric, immediate)
