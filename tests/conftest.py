"""What holds for all tests."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.services.kafka.fixtures import kafka, kafka_session
from tests.services.octopus.fixtures import octopus, octopus_session

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["kafka", "kafka_session", "octopus", "octopus_session"]

# A property that holds is no less true on a busy machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(autouse=True, scope="module")
def _no_link_to_a_stream_outlives_its_module():
    """A publisher that is not closed tries for ever to reach a server that is gone: process after process."""
    yield
    if link := sys.modules.get("parsl_diaspora.fabric.diaspora_stream.link"):
        link.close_links()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Show why a test failed that passed when it was run once more: it hides a race."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"failed, and was run once more: {report.nodeid}", yellow=True)
        report.toterminal(terminalreporter._tw)
