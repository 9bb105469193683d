"""Octopus keeps the contract of all fabrics, by Kafka's protocol and by HTTPS alone."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from parsl_diaspora.testing.fabric_contract import FabricContract


class TestOctopusKafka(FabricContract):
    can_break = True
    patience = 20.0
    backlog = 50_000  # the code is that of `kafka:`, whose test has the full number
    lives = 2

    @pytest.fixture
    def fabric_url(self, octopus):
        self._broker = octopus.broker
        return octopus.url()

    def reader_url(self, fabric):
        """Other processes of these tests have the key's file, and no login."""
        return fabric.node_url

    @contextmanager
    def outage(self, fabric):
        """The broker stands still."""
        del fabric
        with self._broker.frozen():
            yield


class TestOctopusHttps(FabricContract):
    can_break = True
    patience = 20.0
    reaches_processes = False  # nodes have no login
    reads_elsewhere = False
    backlog = 20_000

    @pytest.fixture
    def fabric_url(self, octopus):
        self._service = octopus
        return octopus.url(via="https")

    @contextmanager
    def outage(self, fabric):
        """The web service stands still: connections stay open and nothing is answered."""
        del fabric
        self._service.freeze()
        try:
            yield
        finally:
            self._service.thaw()
