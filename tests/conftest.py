"""What holds for all tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.services.kafka.fixtures import kafka, kafka_session
from tests.services.octopus.fixtures import octopus, octopus_session
from tests.services.scheduler.fixtures import scheduler
from tests.services.slurm.fixtures import slurm, slurm_module

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

__all__ = ["kafka", "kafka_session", "octopus", "octopus_session", "scheduler", "slurm", "slurm_module"]

#: Folders whose tests load whole pools and services: they begin first, so that the end is made of short ones.
LONGEST_FIRST = ("integration", "parsl_suite", "fabric", "testing", "cli", "user_errors")

# A property that holds is no less true on a busy machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")


@pytest.fixture(autouse=True, scope="module")
def _no_link_to_a_stream_outlives_its_module():
    """A publisher that is not closed tries for ever to reach a server that is gone: process after process."""
    yield
    if link := sys.modules.get("parsl_diaspora.fabric.diaspora_stream.link"):
        link.close_links()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several run at once, none is left with a long file at the end."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Show why a test failed that passed when it was run once more: it hides a race."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.write_sep("_", f"failed, and was run once more: {report.nodeid}", yellow=True)
        report.toterminal(terminalreporter._tw)
