"""Supervisors that are gone after their test."""

from __future__ import annotations

import pytest

from tests.monitoring.node.pools import Node


@pytest.fixture
def node(tmp_path):
    """Starts a supervisor with a pool that has these options."""
    made = []

    def make(*options, **told):
        made.append(Node(tmp_path, *options, **told))
        return made[-1]

    yield make
    for each in made:
        each.close()
