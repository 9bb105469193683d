"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A property that holds is no less true on a busy machine.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
