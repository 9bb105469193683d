"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

from tests.services.kafka.fixtures import kafka, kafka_session
from tests.services.octopus.fixtures import octopus, octopus_session

__all__ = ["kafka", "kafka_session", "octopus", "octopus_session"]

# A property that holds is no less true on a busy machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
