"""Octopus keeps the contract of all fabrics, by Kafka's protocol and by HTTPS alone."""

from __future__ import annotations

from contextlib import contextmanager
from types import FunctionType

import pytest

from parsl_diaspora.testing.fabric_contract import FabricContract


def slow(test):
    """The same test, run by `make slow` alone; the mark stays off the one that other fabrics have."""
    copy = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    copy.__dict__.update(test.__dict__)
    copy.__annotations__ = test.__annotations__
    return pytest.mark.slow(copy)


@pytest.mark.slow  # by default the same code is held to the contract as `kafka:`
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

    test_each_kind_of_event_survives_the_trip_unchanged = slow(
        FabricContract.test_each_kind_of_event_survives_the_trip_unchanged
    )
    test_position_moves_with_polls_and_misses_nothing_wherever_it_was_taken = slow(
        FabricContract.test_position_moves_with_polls_and_misses_nothing_wherever_it_was_taken
    )
    test_reader_that_is_far_behind_reads_in_bounded_bites_and_memory = slow(
        FabricContract.test_reader_that_is_far_behind_reads_in_bounded_bites_and_memory
    )

    test_two_sources_keep_their_own_order = slow(FabricContract.test_two_sources_keep_their_own_order)

    test_numbers_of_one_boot_begin_at_one_and_have_no_gaps = slow(
        FabricContract.test_numbers_of_one_boot_begin_at_one_and_have_no_gaps
    )

    test_consumer_that_starts_at_a_time_reads_what_was_published_from_then_on = slow(
        FabricContract.test_consumer_that_starts_at_a_time_reads_what_was_published_from_then_on
    )

    test_limit_bounds_what_one_poll_returns_up_to_a_batch = slow(
        FabricContract.test_limit_bounds_what_one_poll_returns_up_to_a_batch
    )

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
